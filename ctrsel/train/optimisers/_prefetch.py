"""Ask the processor for a line of memory before it is needed (LLVM's `llvm.prefetch`), from a compiled loop."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # it has no types
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["prefetch"]


def _prefetch(typingctx: Any, array: Any, row: Any, column: Any) -> Any:
    """Begin to load the line that holds `array[row, column]`, to be written soon; the indices are not checked."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        made = context.make_array(signature.args[0])(context, builder, args[0])
        unpacked: Any = cgutils.unpack_tuple
        declared: Any = cgutils.get_or_insert_function
        strides = unpacked(builder, made.strides)
        word, flag = ir.IntType(64), ir.IntType(32)
        at = builder.ptrtoint(made.data, word)
        for index, stride in zip(args[1:], strides, strict=True):
            at = builder.add(at, builder.mul(index, stride))
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        function = declared(builder.module, kind, "llvm.prefetch.p0i8")
        # 1: to be written; 3: to be kept in every cache; 1: data.
        builder.call(function, [builder.inttoptr(at, byte), flag(1), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), code


prefetch: Any = intrinsic(_prefetch)
