// gelu(x) = x * (1 + erf(x / sqrt 2)) / 2, to 4e-7 of max(1, |x|).
// Included by kernels.cpp inside the namespace of its instruction set.

// e to the power x for x <= 0: 2^n * polynomial on [-ln 2 / 2, ln 2 / 2] (Taylor to degree 6); 0 below -87.
POPSPARSE_INLINE Vec exponential(Vec x) {
  const Vec bounded = larger(broadcast(-87.0f), x);
  const Vec power = roundToInteger(multiply(bounded, broadcast(1.44269504f)));
  const Vec rest = multiplyAdd(power, broadcast(1.42860677e-6f), multiplyAdd(power, broadcast(-0.693148613f), bounded));
  Vec sum = broadcast(1.0f / 720.0f);
  sum = multiplyAdd(sum, rest, broadcast(1.0f / 120.0f));
  sum = multiplyAdd(sum, rest, broadcast(1.0f / 24.0f));
  sum = multiplyAdd(sum, rest, broadcast(1.0f / 6.0f));
  sum = multiplyAdd(sum, rest, broadcast(0.5f));
  sum = multiplyAdd(sum, rest, broadcast(1.0f));
  sum = multiplyAdd(sum, rest, broadcast(1.0f));
  return multiply(sum, powerOfTwo(power));
}

// Half of erfc(z) for z >= 0: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26 (error 1.5e-7).
POPSPARSE_INLINE Vec halfErfc(Vec z) {
  const Vec t = divide(broadcast(1.0f), multiplyAdd(broadcast(0.3275911f), z, broadcast(1.0f)));
  Vec sum = broadcast(0.5f * 1.061405429f);
  sum = multiplyAdd(sum, t, broadcast(0.5f * -1.453152027f));
  sum = multiplyAdd(sum, t, broadcast(0.5f * 1.421413741f));
  sum = multiplyAdd(sum, t, broadcast(0.5f * -0.284496736f));
  sum = multiplyAdd(sum, t, broadcast(0.5f * 0.254829592f));
  return multiply(multiply(sum, t), exponential(multiply(multiply(z, z), broadcast(-1.0f))));
}

POPSPARSE_INLINE Vec gelu(Vec x) {
  const Vec tail = multiply(x, halfErfc(multiply(absolute(x), broadcast(0.707106781f))));
  return negativeOr(x, tail, add(x, multiply(tail, broadcast(-1.0f))));
}
