"""The files that a Quantizer tries, one a recipe, until one passes the gate.

A further recipe is a method of Maker, a name in settings.LADDER, and nothing else here.
"""

import dataclasses
import logging
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence

import tensorflow as tf

from components.dataset import AnySplit
from components.quantizer import convert, graph
from components.quantizer.answers import Answers, ask
from components.quantizer.compare import Comparison, Truth, compare
from components.quantizer.describe import About, described
from components.quantizer.gate import Gate, worst
from components.quantizer.int4 import with_int4_kernels
from components.quantizer.interpreter import TFLite
from components.quantizer.qat.tuner import Tuner
from components.quantizer.representative import Representative, representative
from components.quantizer.settings import INTEGER, TRAINED, QuantizerSettings, Recipe
from lineage.outcome import InputError
from lineage.records import Control, QuantizationCandidate

log = logging.getLogger("slipway.quantizer")


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A recipe that was tried; `model`, `found` and `answers` are None where it made no file that runs.

    `control` compares the file of the same fine-tuning without rounding with this one, where it was fine-tuned.
    """

    recipe: Recipe
    model: bytes | None
    found: Comparison | None
    reasons: list[str]
    notes: list[str]
    answers: Answers | None = None
    control: Comparison | None = None

    @property
    def blessed(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    def recorded(self) -> QuantizationCandidate:
        """What the record keeps of it."""
        found = self.found
        return QuantizationCandidate(
            mode=self.recipe,
            bytes=len(self.model) if self.model else None,
            value=found.value if found else None,
            drop=found.drop if found else None,
            agreement=found.agreement if found else None,
            worst_slice=worst(found.slices) if found else None,
            blessed=self.blessed,
            reasons=self.reasons,
            notes=self.notes,
            control=_recorded(self.control) if self.control else None,
        )


def _recorded(control: Comparison) -> Control:
    return Control(value=control.value, gain=control.drop, interval=control.drop_interval)


class Maker:
    """Makes the TFLite files of one SavedModel.

    Args:
      saved_model: Its folder.
      signature: What becomes the files.
      inputs: What it takes, `[batch, ...]`.
      train: Where the representative examples come from.
      settings: How.
      about: What the files say of themselves.
      optional: Inputs that may be NaN, for a missing value.
      tuner: What fine-tunes the model; None where no recipe does.
    """

    def __init__(
        self,
        *,
        saved_model: str,
        signature: str,
        inputs: Mapping[str, tf.TensorSpec],
        train: AnySplit,
        settings: QuantizerSettings,
        about: About,
        optional: Sequence[str] = (),
        tuner: Tuner | None = None,
    ):
        self._inputs, self._train, self._settings, self._about = inputs, train, settings, about
        self._signature, self._optional, self._tuner = signature, optional, tuner
        with convert.told_in_a_sentence(inputs):
            plain = convert.to_float(saved_model, signature)
        self.float_model = described(plain, about)
        self._recipes: dict[Recipe, Callable[[], bytes]] = {
            "int8": lambda: self._int8(saved_model, self._representative()),
            "dynamic": lambda: convert.to_dynamic(saved_model, signature),
            "float16": lambda: convert.to_float16(saved_model, signature),
            "int4": lambda: convert.to_int4(plain),
        }

    def make(self, recipe: Recipe) -> bytes:
        """The file that the recipe gives; raises InputError where the converter cannot."""
        if recipe in TRAINED:
            return self._tuned(TRAINED[recipe], aware=True)
        with convert.told_in_a_sentence(self._inputs):
            return described(self._recipes[recipe](), self._about)

    def control(self, recipe: Recipe) -> bytes:
        """The file of a recipe that fine-tunes, but with nothing rounded before it has ended."""
        return self._tuned(TRAINED[recipe], aware=False)

    def _tuned(self, bits: int, *, aware: bool) -> bytes:
        assert self._tuner is not None
        examples = self._representative()  # or it is refused before anything is trained
        with tempfile.TemporaryDirectory() as folder:
            self._tuner.export(folder, bits, aware=aware)
            with convert.told_in_a_sentence(self._inputs):
                made = self._int8(folder, examples)
        return described(made if bits == 8 else with_int4_kernels(made), self._about)

    def _int8(self, saved_model: str, examples: Representative) -> bytes:
        return convert.to_int8(saved_model, examples, self._settings.io or "uint8", self._signature)

    def _representative(self) -> Representative:
        if self._optional:
            raise InputError(
                f"int8 has no number for a missing value, and {', '.join(self._optional)} may be missing. Take mode "
                "dynamic or float16, or fill the gaps in the data."
            )
        return representative(self._train, self._settings.representative_examples, self._settings.seed)


class Judge:
    """Compares files with the float model on a split."""

    def __init__(self, *, float_model: bytes, test: AnySplit, truth: Truth, settings: QuantizerSettings):
        self._test, self._truth, self._gate = test, truth, Gate(settings)
        self._float_answers = self._ask(float_model)

    def judge(self, recipe: Recipe, model: bytes) -> Attempt:
        """Runs the file on the whole split; raises InputError where it cannot run."""
        answers = self._ask(model)
        found = compare(self._truth, self._float_answers, answers)
        graphs = graph.read(model)
        reasons = self._gate.reasons(found, graph.float_ops(graphs) if recipe in INTEGER else [])
        log.info("%s | %s %.4f, float %.4f | %d bytes | %s", recipe, found.metric, found.value, found.float_value,
                 len(model), "refused" if reasons else "passed")  # fmt: skip
        return Attempt(recipe, model, found, reasons, graph.not_merged(graphs), answers)

    def with_control(self, tried: Attempt, control: bytes) -> Attempt:
        """The attempt beside the file of its control, which is not judged."""
        assert tried.answers is not None
        found = compare(self._truth, tried.answers, self._ask(control))
        log.info("%s | its control %s %.4f", tried.recipe, found.metric, found.value)
        return dataclasses.replace(tried, control=found)

    def _ask(self, model: bytes) -> Answers:
        return ask(TFLite(model), self._test, self._truth.task)


def climb(recipes: Iterable[Recipe], attempt: Callable[[Recipe], Attempt]) -> list[Attempt]:
    """Tries one recipe after the other until one is blessed; what makes no file that runs is refused with the reason.

    Raises:
      InputError: none of them made a file that runs; the message has the reason of each.
    """
    tried: list[Attempt] = []
    for recipe in recipes:
        try:
            tried.append(attempt(recipe))
        except InputError as error:
            log.info("%s | %s", recipe, error)
            tried.append(Attempt(recipe, None, None, [str(error)], []))
        if tried[-1].blessed:
            break
    if all(one.model is None for one in tried):
        raise InputError("\n".join(reason for one in tried for reason in one.reasons))
    return tried


def chosen(tried: list[Attempt]) -> Attempt:
    """The one that is blessed, which is the last, else the last that made a file."""
    return next(one for one in reversed(tried) if one.model is not None)
