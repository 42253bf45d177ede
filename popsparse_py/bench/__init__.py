"""Speed of planning and of the embedded model, and the predicted speed-ups that the README shows."""
