// SmoothedSoftmaxXent for TensorFlow: what it accepts, the shapes it gives, and how its rows are spread over TF's own
// thread pool. The arithmetic is in kernel.cc.
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/smoothed_softmax_xent/kernel.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace slipway {
namespace {

using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

template <typename... Parts>
absl::Status InvalidArgument(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("SmoothedSoftmaxXent: ", parts...));
}

absl::Status InferShapes(InferenceContext* c) {
  ShapeHandle logits, labels, batch;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &logits));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 1, &labels));
  if (!c->Merge(c->Vector(c->Dim(logits, 0)), labels, &batch).ok()) {
    return InvalidArgument("expected one label a row of logits, got logits of shape ",
                           c->DebugString(logits), " and labels of shape ", c->DebugString(labels));
  }
  c->set_output(0, batch);
  c->set_output(1, c->Matrix(c->Dim(batch, 0), c->Dim(logits, 1)));
  return absl::OkStatus();
}

template <typename Label>
class SmoothedSoftmaxXentOp : public tensorflow::OpKernel {
 public:
  explicit SmoothedSoftmaxXentOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("label_smoothing", &smoothing_));
    OP_REQUIRES(ctx, smoothing_ >= 0 && smoothing_ <= 1,
                InvalidArgument("label_smoothing must be in [0, 1], got ", smoothing_));
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor& logits = ctx->input(0);
    const Tensor& labels = ctx->input(1);
    OP_REQUIRES_OK(ctx, CheckArguments(logits, labels));
    Tensor* losses;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, labels.shape(), &losses));
    Tensor* gradients;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, logits.shape(), &gradients));

    const int64_t classes = logits.dim_size(1);
    const float* logit = logits.flat<float>().data();
    const Label* label = labels.flat<Label>().data();
    float* loss = losses->flat<float>().data();
    float* gradient = gradients->flat<float>().data();
    const auto rows = [=, smoothing = smoothing_, &kernels = SmoothedSoftmaxXent()](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t start = row * classes;
        loss[row] = kernels.row(logit + start, classes, label[row], smoothing, gradient + start);
      }
    };
    const auto& pool = *ctx->device()->tensorflow_cpu_worker_threads();
    tensorflow::Shard(pool.num_threads, pool.workers, logits.dim_size(0), kCyclesPerLogit * classes, rows);
  }

 private:
  // Measured with SSE2, the least that x86-64 has; Shard needs it to tell when a second thread pays.
  static constexpr int64_t kCyclesPerLogit = 4;

  static absl::Status CheckArguments(const Tensor& logits, const Tensor& labels) {
    if (logits.dims() != 2 || labels.dims() != 1 || logits.dim_size(0) != labels.dim_size(0)) {
      return InvalidArgument(
          "expected logits [batch, classes] and labels [batch], got logits of shape ",
          logits.shape().DebugString(), " and labels of shape ", labels.shape().DebugString());
    }
    const int64_t classes = logits.dim_size(1);
    const auto label = labels.flat<Label>();
    for (int64_t row = 0; row < label.size(); ++row) {
      if (label(row) < 0 || label(row) >= classes) {
        return InvalidArgument("labels[", row, "] = ", label(row), " is outside [0, ", classes,
                               "); logits have shape ", logits.shape().DebugString(), ", labels ",
                               labels.shape().DebugString());
      }
    }
    return absl::OkStatus();
  }

  float smoothing_;
};

REGISTER_OP("SmoothedSoftmaxXent")
    .Input("logits: float")
    .Input("labels: Label")
    .Output("loss: float")
    .Output("backprop: float")
    .Attr("Label: {int32, int64} = DT_INT64")
    .Attr("label_smoothing: float = 0.0")
    .SetShapeFn(InferShapes)
    .Doc(R"doc(
Softmax cross-entropy with smoothed sparse labels, and its derivative, in one pass over the logits.

logits: [batch, classes].
labels: [batch], each in [0, classes).
label_smoothing: share of each label spread evenly over all classes, in [0, 1].
loss: [batch].
backprop: [batch, classes], the derivative of each loss with respect to its row of logits.
)doc");

#define REGISTER_CPU(Type)                                                                                      \
  REGISTER_KERNEL_BUILDER(                                                                                      \
      Name("SmoothedSoftmaxXent").Device(tensorflow::DEVICE_CPU).TypeConstraint<Type>("Label"), \
      SmoothedSoftmaxXentOp<Type>)
REGISTER_CPU(int32_t);
REGISTER_CPU(int64_t);
#undef REGISTER_CPU

}  // namespace
}  // namespace slipway
