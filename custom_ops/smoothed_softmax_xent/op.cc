// SmoothedSoftmaxXent and its gradient as TensorFlow knows them: inputs, outputs, attributes and shapes. Their kernels
// are in op_kernel.cc.
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace slipway {
namespace {

using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

// Finds what logits [..., classes], input 0, and labels [...], input 1, say together.
absl::Status MergeShapes(InferenceContext* c, ShapeHandle* logits, ShapeHandle* labels) {
  DimensionHandle classes;
  ShapeHandle rows;
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 2, logits));
  TF_RETURN_IF_ERROR(c->Subshape(*logits, 0, -1, &rows));
  if (!c->Merge(rows, c->input(1), labels).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "SmoothedSoftmaxXent: expected one label a row of logits, got logits of shape ", c->DebugString(*logits),
        " and labels of shape ", c->DebugString(c->input(1))));
  }
  classes = c->RankKnown(*logits) ? c->Dim(*logits, -1) : c->UnknownDim();
  if (c->ValueKnown(classes) && c->Value(classes) == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "SmoothedSoftmaxXent: expected at least one class, got logits of shape ", c->DebugString(*logits)));
  }
  return c->Concatenate(*labels, c->Vector(classes), logits);
}

absl::Status InferShapes(InferenceContext* c) {
  ShapeHandle logits, labels;
  TF_RETURN_IF_ERROR(MergeShapes(c, &logits, &labels));
  for (int output = 0; output < 3; ++output) c->set_output(output, labels);
  return absl::OkStatus();
}

absl::Status InferGradShapes(InferenceContext* c) {
  ShapeHandle logits, labels;
  TF_RETURN_IF_ERROR(MergeShapes(c, &logits, &labels));
  for (int input = 2; input < 5; ++input) TF_RETURN_IF_ERROR(c->Merge(labels, c->input(input), &labels));
  c->set_output(0, logits);
  return absl::OkStatus();
}

REGISTER_OP("SmoothedSoftmaxXent")
    .Input("logits: T")
    .Input("labels: Label")
    .Output("loss: float")
    .Output("maximum: float")
    .Output("sum: float")
    .Attr("T: {float, bfloat16, half}")
    .Attr("Label: {int32, int64}")
    .Attr("label_smoothing: float = 0.0")
    .Attr("z_loss: float = 0.0")
    .Attr("ignore_index: list(int) = []")
    .SetShapeFn(InferShapes)
    .Doc(R"doc(
Softmax cross-entropy with smoothed sparse labels, in one pass over the logits.

On a GPU a label that is out of range makes its loss NaN, since a device cannot raise.

logits: [..., classes], of rank 2 or more, with at least one class.
labels: [...], each in [0, classes) or equal to ignore_index.
label_smoothing: share of each label spread evenly over all classes, in [0, 1].
z_loss: what the square of logsumexp(logits) is multiplied by and added to the loss.
ignore_index: at most one label whose rows have loss 0 and gradient 0.
loss: [...].
maximum: [...], the largest logit of each row; for the gradient. Unspecified in an ignored row.
sum: [...], the sum of exp(logits - maximum) of each row, NaN where the loss is; for the gradient. Unspecified in an
  ignored row.
)doc");

REGISTER_OP("SmoothedSoftmaxXentGrad")
    .Input("logits: T")
    .Input("labels: Label")
    .Input("maximum: float")
    .Input("sum: float")
    .Input("d_loss: float")
    .Output("d_logits: T")
    .Attr("T: {float, bfloat16, half}")
    .Attr("Label: {int32, int64}")
    .Attr("label_smoothing: float = 0.0")
    .Attr("z_loss: float = 0.0")
    .Attr("ignore_index: list(int) = []")
    .SetShapeFn(InferGradShapes)
    .Doc(R"doc(
The gradient of SmoothedSoftmaxXent, multiplied by that of its loss; in the memory of the logits where they have no
other use.

maximum, sum: outputs of SmoothedSoftmaxXent.
d_loss: [...], the gradient with respect to its loss.
d_logits: [..., classes].
)doc");

}  // namespace
}  // namespace slipway
