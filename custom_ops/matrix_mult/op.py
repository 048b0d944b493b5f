"""Matrix product with bias and activation in one pass: the op, its gradient and its composite twin.

With z = a b + bias, the gelu of c = gelu(z) is the approximation of Hendrycks and Gimpel, "Gaussian Error Linear
Units", 2016: z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))).
"""

import math
from collections.abc import Collection
from typing import Any, Literal, get_args

import tensorflow as tf

from custom_ops import library
from custom_ops.matrix_mult import gpu

Activation = Literal["none", "relu", "gelu"]
DTYPES = (tf.float32, tf.bfloat16, tf.float16)


def matrix_mult(
    a: Any,
    b: Any,
    bias: Any = None,
    *,
    activation: Activation = "none",
    transpose_a: bool = False,
    transpose_b: bool = False,
    keep_slope: bool = False,
) -> Any:
    """`activation(a @ b + bias)`, with sums of float32 that are rounded once, to the dtype of `a`.

    Differentiable any number of times. The same arguments give the same bits, on however many threads. On a GPU the op
    is a call of cuBLASLt with bias and gelu in its epilogue, used once it has given the right numbers on that GPU. On a
    CPU float16 is taken by the composite.

    Args:
        a: float32, bfloat16 or float16 [..., rows, depth]; with `transpose_a` [..., depth, rows].
        b: of a's dtype, [..., depth, columns]; with `transpose_b` [..., columns, depth]. Batch dimensions broadcast
            as in `tf.linalg.matmul`.
        bias: of a's dtype, [columns], or None.
        activation: "none", "relu", or "gelu" in its approximation by tanh.
        keep_slope: for gelu, whether the forward pass writes the derivative that the backward pass needs. Faster
            where there is a backward pass; without it that one multiplies once more.

    Returns:
        [..., rows, columns] of a's dtype.

    Raises:
        ValueError: another dtype or activation, or shapes known not to fit.
        tf.errors.InvalidArgumentError: shapes that do not fit, when it runs.

    Example:
        >>> custom_ops.matrix_mult([[1.0, 2.0]], [[1.0], [-1.0]], [0.5], activation="relu")
        <tf.Tensor: shape=(1, 1), dtype=float32, numpy=array([[0.]], dtype=float32)>
    """
    a, b = tf.convert_to_tensor(a), tf.convert_to_tensor(b)
    bias = None if bias is None else tf.convert_to_tensor(bias)
    _check(a, b, bias, activation, transpose_a, transpose_b)
    ops = library.ops_to_call()
    if ops is None or not _has_kernel(a.dtype, activation):
        return composite(a, b, bias, activation, transpose_a, transpose_b)
    return ops.matrix_mult(
        a,
        b,
        [] if bias is None else [bias],
        activation=activation,
        transpose_a=transpose_a,
        transpose_b=transpose_b,
        with_slope=keep_slope and activation == "gelu",
    ).c


def _has_kernel(dtype: tf.DType, activation: Activation) -> bool:
    """Where TensorFlow sees a GPU, one that is right there; for CPUs there is none of float16."""
    return gpu.usable(dtype, activation) if tf.config.get_visible_devices("GPU") else dtype != tf.float16


def composite(a: Any, b: Any, bias: Any, activation: Activation, transpose_a: bool, transpose_b: bool) -> Any:
    """The same in plain TensorFlow, for exports and wherever the op is not; Grappler fuses it."""
    z = tf.linalg.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    if bias is not None:
        z = tf.nn.bias_add(z, bias)
    if activation == "relu":
        return tf.nn.relu(z)
    return tf.nn.gelu(z, approximate=True) if activation == "gelu" else z


@tf.RegisterGradient("MatrixMult")
def _gradient(op: Any, d_c: Any, _: Any) -> list[Any]:
    """By the op itself: d_a = d_z b', d_b = a' d_z, d_bias the sum of d_z's rows. The slope is no function's result."""
    a, b, *biases = op.inputs
    transposed = op.get_attr("transpose_a"), op.get_attr("transpose_b")
    d_z = _gradient_of_activation(op, d_c)
    skipped = getattr(op, "skip_input_indices", None) or ()  # known in eager execution only
    d_a, d_b = _gradient_of_product(a, b, d_z, *transposed, skipped)
    return [d_a, d_b, *(tf.raw_ops.BiasAddGrad(out_backprop=d_z) for _ in biases)]


def _gradient_of_activation(op: Any, d_c: Any) -> Any:
    activation = op.get_attr("activation")
    if activation == b"relu":
        return tf.raw_ops.ReluGrad(gradients=d_c, features=op.outputs[0])
    if activation == b"gelu":
        transposed = op.get_attr("transpose_a"), op.get_attr("transpose_b")
        slope = op.outputs[1] if op.get_attr("with_slope") else _slope(*transposed, *op.inputs)
        return _through_gelu(*transposed)(d_c, slope, *op.inputs)
    return d_c


def _slope(transpose_a: bool, transpose_b: bool, a: Any, b: Any, *biases: Any) -> Any:
    """The derivative of gelu, of which the forward pass kept nothing."""
    if ops := library.ops_to_call():
        options = {"transpose_a": transpose_a, "transpose_b": transpose_b}
        return ops.matrix_mult(a, b, [*biases], activation="gelu", with_slope=True, **options).slope
    return _slope_at(matrix_mult(a, b, *biases, transpose_a=transpose_a, transpose_b=transpose_b))


def _slope_at(z: Any) -> Any:
    linear, cubic = math.sqrt(2 / math.pi), math.sqrt(2 / math.pi) * 0.044715
    tanh = tf.tanh(z * (linear + cubic * z * z))
    return 0.5 * (1 + tanh) + 0.5 * z * (1 - tanh * tanh) * (linear + 3 * cubic * z * z)


def _through_gelu(transpose_a: bool, transpose_b: bool) -> Any:
    """d_c times the slope. Only a derivative of this needs z, and computes it then."""

    @tf.custom_gradient
    def times_slope(d_c: Any, slope: Any, *inputs: Any) -> tuple[Any, Any]:
        def gradient(d_d_z: Any) -> tuple[Any, ...]:
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                again = _slope_at(matrix_mult(*inputs, transpose_a=transpose_a, transpose_b=transpose_b))
            of_inputs = tape.gradient(again, inputs, output_gradients=d_d_z * d_c)
            return times_slope(d_d_z, slope, *inputs), None, *of_inputs

        return d_c * slope, gradient

    return times_slope


def _gradient_of_product(
    a: Any, b: Any, d_z: Any, transpose_a: bool, transpose_b: bool, skipped: Collection[int] = ()
) -> tuple[Any, Any]:
    """The gradients of both factors; None for those at the places `skipped`, which nobody asks for."""
    if a.shape.rank != 2 and b.shape.rank == 2 and not transpose_a:
        # Rows of all batches, one below the other: then d_b is one product and not a sum of many.
        d_a, d_b = _gradient_of_product(_one_matrix(a), b, _one_matrix(d_z), False, transpose_b, skipped)
        return None if d_a is None else tf.reshape(d_a, tf.shape(a)), d_b
    d_a = d_b = None
    if 0 not in skipped:
        factors = (b, d_z) if transpose_a else (d_z, b)
        d_a = matrix_mult(*factors, transpose_a=transpose_a and transpose_b, transpose_b=transpose_a or not transpose_b)
    if 1 not in skipped:
        factors = (d_z, a) if transpose_b else (a, d_z)
        d_b = matrix_mult(*factors, transpose_a=transpose_b or not transpose_a, transpose_b=transpose_a and transpose_b)
    return _sum_over_broadcast(a, b, d_a, d_b)


def _one_matrix(tensor: Any) -> Any:
    shape = tensor.shape if tensor.shape.is_fully_defined() else tf.shape(tensor)
    return tf.reshape(tensor, [tf.reduce_prod(shape[:-1]), shape[-1]])


def _sum_over_broadcast(a: Any, b: Any, d_a: Any, d_b: Any) -> tuple[Any, Any]:
    """The gradients in the shapes of their factors, which a batch dimension of the other may have enlarged."""
    if a.shape[:-2].is_fully_defined() and a.shape[:-2] == b.shape[:-2]:
        return d_a, d_b
    axes = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(a)[:-2], s1=tf.shape(b)[:-2])
    return (
        None if d_a is None else tf.reshape(tf.reduce_sum(d_a, axes.r0), tf.shape(a)),
        None if d_b is None else tf.reshape(tf.reduce_sum(d_b, axes.r1), tf.shape(b)),
    )


def _check(a: Any, b: Any, bias: Any, activation: str, transpose_a: bool, transpose_b: bool) -> None:
    """Refuses what is known not to fit before it runs."""
    if activation not in get_args(Activation):
        raise ValueError(f"Expected activation none, relu or gelu. Received: activation={activation!r}")
    given = [a, b] if bias is None else [a, b, bias]
    if a.dtype not in DTYPES or any(tensor.dtype != a.dtype for tensor in given):
        raise ValueError(
            "Expected a, b and bias of one dtype, float32, bfloat16 or float16; cast them first. "
            f"Received: {', '.join(tensor.dtype.name for tensor in given)}"
        )
    try:
        columns = _columns(a.shape, b.shape, transpose_a, transpose_b)
        if bias is not None:
            bias.shape.assert_is_compatible_with([columns])
    except ValueError as error:
        raise ValueError(
            "Expected a [..., rows, depth], b [..., depth, columns] after transposition, with batch dimensions that "
            f"broadcast, and a bias of [columns]. Received: a {a.shape}, b {b.shape}, "
            f"bias {None if bias is None else bias.shape}, transpose_a={transpose_a}, transpose_b={transpose_b}"
        ) from error


def _columns(a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> int | None:
    """The columns of the product; ValueError for shapes that have none."""
    a, b = a.with_rank_at_least(2), b.with_rank_at_least(2)
    if a.rank is None or b.rank is None:
        return None if b.rank is None else b[-2 if transpose_b else -1]
    depths = {a[-2 if transpose_a else -1], b[-1 if transpose_b else -2]}
    if None not in depths and len(depths) > 1:
        raise ValueError("the depths differ")
    tf.broadcast_static_shape(a[:-2], b[:-2])
    return b[-2 if transpose_b else -1]
