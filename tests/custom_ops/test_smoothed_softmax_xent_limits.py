"""What SmoothedSoftmaxXent and its composite refuse, the shapes they give, and the memory that the op takes."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import custom_ops
from custom_ops import library
from tests.custom_ops.xent_reference import loss_and_gradient, random_case


@pytest.mark.parametrize("label", [-1, 10])
def test_label_out_of_range_is_refused(implementation: str, label: int) -> None:
    labels = np.array([0, 1, 2, label])
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"\[3\] = {label} is (outside|not in) \[0, 10\)"):
        custom_ops.smoothed_softmax_xent(np.zeros((4, 10), np.float32), labels)


def test_the_first_of_several_wrong_labels_is_named_and_another_one_than_the_ignored() -> None:
    labels = np.where(np.arange(3000) < 1234, 5, -2).reshape(30, 100)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels\[1234\] = -2 is outside .* ignore_index -1"):
        custom_ops.smoothed_softmax_xent(np.zeros((30, 100, 40), np.float32), labels, ignore_index=-1)


def test_gradient_refuses_a_wrong_label_too() -> None:
    logits, row = tf.zeros([1, 4]), tf.ones([1])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels\[0\] = 4 is outside \[0, 4\)"):
        library.load().smoothed_softmax_xent_grad(logits, tf.constant([4]), row, row, row)


def test_where_nothing_can_raise_a_wrong_label_makes_its_example_nan() -> None:
    logits, _ = random_case((3, 7))
    labels = np.array([1, 7, -100])
    with custom_ops.composite():
        compiled = tf.function(
            lambda values: loss_and_gradient_tensors(values, labels), jit_compile=True, autograph=False
        )
        loss, gradient = compiled(tf.constant(logits))
    assert np.isnan(loss).tolist() == [False, True, False]
    assert np.isnan(gradient).all(axis=1).tolist() == [False, True, False]
    assert not np.isnan(gradient.numpy()[[0, 2]]).any()


def loss_and_gradient_tensors(logits: Any, labels: Any) -> tuple[Any, Any]:
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = custom_ops.smoothed_softmax_xent(logits, labels, ignore_index=-100)
    return loss, tape.gradient(loss, logits)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [((4, 10), (3,)), ((4,), (4,)), ((2, 2, 3), (2,)), ((4, 10), (4, 1)), ((4, 10), ()), ((4, 0), (4,))],
)
def test_shapes_that_do_not_fit_are_refused_by_name(logits: tuple[int, ...], labels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"Received: logits \({logits[0]}.*, labels \("):
        custom_ops.smoothed_softmax_xent(np.zeros(logits, np.float32), np.zeros(labels, np.int64))


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        ([4, 10], [3], r"shape \[4,10\] and labels of shape \[3\]"),
        ([10], [10], r"shape \[10\] and labels of shape \[10\]"),
        ([4, 0], [4], r"at least one class, got logits of shape \[4,0\]"),
    ],
)
def test_shapes_known_only_when_run_are_refused_with_both(logits: list[int], labels: list[int], said: str) -> None:
    call = tf.function(
        lambda logits, labels: custom_ops.smoothed_softmax_xent(logits, labels),
        input_signature=[tf.TensorSpec(None, tf.float32), tf.TensorSpec(None, tf.int64)],
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        call(tf.zeros(logits), tf.zeros(labels, tf.int64))


def test_gradient_refuses_one_number_for_all_rows() -> None:
    rows, labels = tf.ones([2]), tf.constant([0, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels of shape \[2\] and input 4 of shape \[1\]"):
        library.load().smoothed_softmax_xent_grad(tf.zeros([2, 3]), labels, rows, rows, tf.ones([1]))


def test_rank_known_only_when_run_gives_the_same(implementation: str) -> None:
    logits, labels = random_case((2, 3, 5))
    call = tf.function(
        lambda logits, labels: custom_ops.smoothed_softmax_xent(logits, labels, ignore_index=1),
        input_signature=[tf.TensorSpec(None, tf.float32), tf.TensorSpec(None, tf.int64)],
    )
    np.testing.assert_array_equal(call(logits, labels), loss_and_gradient(logits, labels, ignore_index=1)[0])


def test_wrong_dtypes_and_options_are_refused() -> None:
    logits, labels = np.zeros((1, 2), np.float32), np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="Received: logits float64, labels int64"):
        custom_ops.smoothed_softmax_xent(logits.astype(float), labels)
    wrong: list[dict[str, Any]] = [{"label_smoothing": 1.5}, {"z_loss": -0.1}, {"ignore_index": 0.5}]
    for options in wrong:
        [(name, value)] = options.items()
        with pytest.raises(ValueError, match=f"Received: {name}={value}"):
            custom_ops.smoothed_softmax_xent(logits, labels, **options)
    with pytest.raises(ValueError, match=r"Received: weights \(2,\), labels \(1,\)"):
        custom_ops.smoothed_softmax_xent(logits, labels, weights=[1.0, 2.0])


def test_shape_function_infers_from_either_argument() -> None:
    with tf.Graph().as_default():
        logits = tf.raw_ops.Placeholder(dtype=tf.float32, shape=tf.TensorShape([None, 3, 10]))
        labels = tf.raw_ops.Placeholder(dtype=tf.int64, shape=tf.TensorShape([4, None]))
        loss, maximum, total = library.load().smoothed_softmax_xent(logits, labels)
        gradient = library.load().smoothed_softmax_xent_grad(logits, labels, maximum, total, loss)
    assert [loss.shape, maximum.shape, total.shape] == [[4, 3]] * 3
    assert gradient.shape == [4, 3, 10]


@pytest.mark.parametrize(
    ("logits", "labels"), [([4, 10], [3]), ([4], [4]), ([4, 10], [4, 1]), ([2, 3, 4], [2]), ([4, 0], [4])]
)
def test_shape_function_refuses_while_the_graph_is_built(logits: list[int], labels: list[int]) -> None:
    with tf.Graph().as_default(), pytest.raises(ValueError, match="SmoothedSoftmaxXent"):
        library.load().smoothed_softmax_xent(tf.zeros(logits), tf.zeros(labels, tf.int64))


def allocated(made_inside: bool) -> float:
    """What TensorFlow allocates in all for a gradient, and the logits if a graph makes them, in sizes of the logits."""
    shape, record = (64, 4096), tf.compat.v1.RunMetadata()
    options = tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        labels = tf.compat.v1.placeholder(tf.int32, shape[:1])
        logits = tf.random.normal(shape) if made_inside else tf.compat.v1.placeholder(tf.float32, shape)
        loss = custom_ops.smoothed_softmax_xent(logits, labels, label_smoothing=0.1)
        [gradient] = tf.gradients(tf.reduce_mean(loss), logits)
        given = {labels: np.zeros(shape[:1])} | ({} if made_inside else {logits: np.zeros(shape)})
        session.run(gradient.op, given, options=options, run_metadata=record)
    nodes = [node for device in record.step_stats.dev_stats for node in device.node_stats]
    return sum(memory.total_bytes for node in nodes for memory in node.memory) / (4 * np.prod(shape))


@pytest.mark.parametrize("made_inside", [False, True], ids=["logits given", "logits made in the graph"])
def test_nothing_of_the_size_of_the_logits_is_made_but_their_gradient(made_inside: bool) -> None:
    # Made in the graph, where they have no other use, they give it their memory: one size for both.
    assert 1 <= allocated(made_inside) < 1.02
    with custom_ops.composite():
        assert allocated(made_inside) > 2
