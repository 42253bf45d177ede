"""One operator in the forms in which torch may want it."""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch import Tensor

_PLAIN = frozenset((Tensor, torch.nn.Parameter, int, type(None)))  # types of inputs that nothing has to see


class Product:
    """popsparse::<name>, called in the form that the situation asks for.

    operator: the custom operator, which compilers, tracers, modes and tensor subclasses see, and tensors on other
    devices. kernel: the processor's own function, called at once where nothing watches, as the dispatcher takes longer
    than a small product. Two autograd functions: one for eager training, and one for
    transforms (torch.func), which do not pass through the autograd of a custom operator.
    """

    def __init__(
        self,
        name: str,
        schema: str,
        kernel: Callable[..., Tensor],
        shape: Callable[..., Tensor],
        save: Callable[[Any, Any, Any], None],  # setup_context of autograd
        gradients: Callable[..., Any],
        batching: Callable[[Callable[..., Tensor]], Callable[..., Any]],  # vmap's rule of a product
    ) -> None:
        self.kernel = kernel
        self.devices = {"cpu", "meta"}  # types of devices whose tensors can be multiplied
        self.operator = torch.library.custom_op(
            f"popsparse::{name}", kernel, mutates_args=(), device_types="cpu", schema=f"({schema}) -> Tensor"
        )
        self.operator.register_fake(shape)
        self.operator.register_autograd(gradients, setup_context=save)
        eager = _autograd_function(name, forward=_saving(kernel, save), backward=gradients)
        # What Function.apply ends in where no transform is active.
        self._eager_apply = getattr(super(torch.autograd.Function, eager), "apply")  # noqa: B009
        self._transformed = _autograd_function(
            name, forward=_unchanged(self.operator), setup_context=save, backward=gradients, vmap=batching(self)
        )
        if hasattr(torch.library, "register_vmap"):  # came with torch 2.5
            self.operator.register_vmap(batching(self.operator))

    def register(self, device_type: str, kernel: Callable[..., Tensor]) -> None:
        """From now on tensors on devices of that type are multiplied by `kernel`, which takes the product's inputs."""
        self.operator.register_kernel(device_type, kernel)
        self.devices.add(device_type)

    def __call__(self, *inputs: Any) -> Any:
        """The product; tensors among the inputs may be None."""
        if torch.compiler.is_compiling():
            return self.operator(*inputs)
        if torch._C._are_functorch_transforms_active():
            return self._transformed.apply(*inputs)
        if is_watched(inputs):
            return self.operator(*inputs)
        if torch.is_grad_enabled():
            return self._eager_apply(*inputs)
        return self.kernel(*inputs)


def is_watched(inputs: Any) -> bool:
    """Whether a mode, a tracer or a tensor subclass has to see the operator, or a device other than the processor."""
    return (
        torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
        or not _PLAIN.issuperset(map(type, inputs))
        or not inputs[0].is_cpu
    )


def _autograd_function(name: str, **members: Any) -> Any:
    return type(name, (torch.autograd.Function,), {key: staticmethod(member) for key, member in members.items()})


def _saving(kernel: Callable[..., Tensor], save: Callable[[Any, Any, Any], None]) -> Callable[..., Tensor]:
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        result = kernel(*inputs)
        save(ctx, inputs, result)
        return result

    return forward


def _unchanged(operator: Any) -> Callable[..., Tensor]:
    def forward(*inputs: Any) -> Tensor:
        result: Tensor = operator(*inputs)
        return result

    return forward
