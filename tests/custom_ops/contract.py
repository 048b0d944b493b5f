"""What holds for every custom op, as a base class of tests: an op's own tests add what it computes."""

import concurrent.futures
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf

import custom_ops

Arrays = Sequence[np.ndarray]
THREADS = 200


class OpContract:
    """Subclass it as `class TestContract(OpContract)` and set what the op is.

    Attributes:
      op_type: The name that the op is registered by.
      call: The Python function, of tensors in the order of a case's arrays; its result is one tensor.
      cases: Names of inputs, and what makes them. Those of floating type are differentiated with respect to.
      rtol: Of op against composite, relative to the largest number in the result, by dtype of the inputs.
      refused: A dtype that no input of floating type may have.
    """

    op_type: ClassVar[str]
    call: ClassVar[Callable[..., tf.Tensor]]
    cases: ClassVar[dict[str, Callable[[], Arrays]]]
    rtol: ClassVar[dict[str, float]] = {"float32": 1e-6, "bfloat16": 2**-7}
    refused: ClassVar[str] = "float64"

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", self.cases)
        if "dtype" in metafunc.fixturenames:
            metafunc.parametrize("dtype", self.rtol)

    def inputs(self, case: str, dtype: str = "float32") -> list[tf.Tensor]:
        arrays = self.cases[case]()
        return [tf.cast(array, dtype) if array.dtype.kind == "f" else tf.constant(array) for array in arrays]

    def result_and_gradients(self, inputs: Sequence[tf.Tensor], function: Callable[..., tf.Tensor]) -> list[tf.Tensor]:
        """The result, and the gradients of its sum weighted by numbers that are not all alike."""
        floats = [tensor for tensor in inputs if tensor.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(floats)
            result = function(*inputs)
            weights = tf.cast(tf.linspace(0.5, 1.5, tf.size(result)), result.dtype)
            total = tf.reduce_sum(result * tf.reshape(weights, tf.shape(result)))
        return [result, *tape.gradient(total, floats)]

    def run(self, inputs: Sequence[tf.Tensor], **options: Any) -> list[np.ndarray]:
        """Result and gradients, eagerly, or with options those of a `tf.function`."""
        function = self.result_and_gradients
        if options:
            function = tf.function(function, **options)
        return [tensor.numpy() for tensor in function(inputs, type(self).call)]

    def assert_close(self, found: Arrays, expected: Arrays, dtype: str) -> None:
        for left, right in zip(found, expected, strict=True):
            assert left.dtype == right.dtype
            left, right = left.astype(np.float64), right.astype(np.float64)
            scale = np.abs(right).max(initial=1.0)
            np.testing.assert_allclose(left, right, rtol=0, atol=self.rtol[dtype] * scale)

    def op_types(self, inputs: Sequence[tf.Tensor]) -> set[str]:
        function = tf.function(type(self).call)
        return {op.type for op in function.get_concrete_function(*inputs).graph.get_operations()}

    def test_a_call_runs_the_op_and_in_the_scope_only_ops_of_tensorflow(self, case: str) -> None:
        inputs = self.inputs(case)
        assert self.op_type in self.op_types(inputs)
        with custom_ops.composite():
            types = self.op_types(inputs)
        assert self.op_type not in types
        assert all(tf.raw_ops.__dict__.get(name) for name in types - {"Placeholder", "StatefulPartitionedCall"})

    def test_op_equals_its_composite(self, case: str, dtype: str) -> None:
        inputs = self.inputs(case, dtype)
        found = self.run(inputs)
        with custom_ops.composite():
            expected = self.run(inputs)
        self.assert_close(found, expected, dtype)

    def test_gradient_is_the_numerical_one(self, case: str) -> None:
        inputs = self.inputs(case)
        floats = [place for place, tensor in enumerate(inputs) if tensor.dtype.is_floating]

        def function(*values: tf.Tensor) -> tf.Tensor:
            given = list(inputs)
            for place, value in zip(floats, values, strict=True):
                given[place] = value
            return type(self).call(*given)

        # Central differences of float32 at this width are good to about a thousandth.
        theoretical, numerical = tf.test.compute_gradient(function, [inputs[place] for place in floats], delta=2**-6)
        for left, right in zip(theoretical, numerical, strict=True):
            np.testing.assert_allclose(left, right, atol=5e-3 * max(1.0, np.abs(right).max(initial=0)))

    def test_graph_equals_eager_bit_by_bit(self, case: str, dtype: str) -> None:
        inputs = self.inputs(case, dtype)
        for left, right in zip(self.run(inputs, autograph=True), self.run(inputs), strict=True):
            np.testing.assert_array_equal(left, right)

    def test_xla_equals_the_composite(self, case: str, dtype: str) -> None:
        inputs = self.inputs(case, dtype)
        with custom_ops.composite():
            expected = self.run(inputs)
        self.assert_close(self.run(inputs, jit_compile=True), expected, dtype)

    def test_repeated_calls_are_bit_identical(self, case: str, dtype: str) -> None:
        inputs = self.inputs(case, dtype)
        first = self.run(inputs)
        for _ in range(5):
            for left, right in zip(self.run(inputs), first, strict=True):
                np.testing.assert_array_equal(left, right)

    def test_many_threads_at_once_get_what_one_gets(self) -> None:
        cases = [self.inputs(case) for case in self.cases]
        expected = [self.run(inputs) for inputs in cases]

        def once(number: int) -> bool:
            place = number % len(cases)
            pairs = zip(self.run(cases[place]), expected[place], strict=True)
            return all(np.array_equal(left, right) for left, right in pairs)

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            assert all(pool.map(once, range(5 * THREADS)))

    def test_shapes_are_inferred_as_far_as_those_of_the_inputs_are_known(self, case: str) -> None:
        inputs = self.inputs(case)
        shape = type(self).call(*inputs).shape
        for known in (True, False):
            specs = [tf.TensorSpec(one.shape if known else [None] * one.shape.rank, one.dtype) for one in inputs]
            inferred = tf.function(type(self).call).get_concrete_function(*specs).outputs[0].shape
            assert inferred.rank == shape.rank and inferred.is_compatible_with(shape)
            assert inferred.is_fully_defined() or not known

    def test_another_dtype_is_refused_by_name(self, case: str) -> None:
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=self.refused):
            type(self).call(*self.inputs(case, self.refused))

    def test_export_in_the_scope_needs_no_library(self, case: str, tmp_path: Any) -> None:
        inputs = self.inputs(case)
        module = tf.Module()
        module.call = tf.function(type(self).call)
        with custom_ops.composite():
            module.call.get_concrete_function(*inputs)
            tf.saved_model.save(module, str(tmp_path))
        assert self.op_type.encode() not in (tmp_path / "saved_model.pb").read_bytes()
        found = tf.saved_model.load(str(tmp_path)).call(*inputs)
        self.assert_close([found.numpy()], [type(self).call(*inputs).numpy()], "float32")
