// The kernels of SmoothedSoftmaxXent and its gradient: they check what they are given, make room for results and hand
// the rows to TensorFlow's own thread pool or to a CUDA stream. The arithmetic is in kernel.cc and kernel.cu.cc.
#include "tensorflow/core/framework/op_kernel.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/smoothed_softmax_xent/kernel.h"
#include "tensorflow/core/util/work_sharder.h"
#ifdef SLIPWAY_CUDA
#include "xla/stream_executor/stream.h"
#endif

namespace slipway {
namespace {

using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;

template <typename... Parts>
absl::Status InvalidArgument(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("SmoothedSoftmaxXent: ", parts...));
}

absl::Status ReadOptions(OpKernelConstruction* ctx, SmoothedSoftmaxXentOptions* options) {
  std::vector<int64_t> ignore_index;
  TF_RETURN_IF_ERROR(ctx->GetAttr("label_smoothing", &options->label_smoothing));
  TF_RETURN_IF_ERROR(ctx->GetAttr("z_loss", &options->z_loss));
  TF_RETURN_IF_ERROR(ctx->GetAttr("ignore_index", &ignore_index));
  if (!(options->label_smoothing >= 0 && options->label_smoothing <= 1)) {
    return InvalidArgument("label_smoothing must be in [0, 1], got ", options->label_smoothing);
  }
  if (ignore_index.size() > 1) return InvalidArgument("ignore_index is one label, got ", ignore_index.size());
  options->ignores = !ignore_index.empty();
  if (options->ignores) options->ignore_index = ignore_index[0];
  return absl::OkStatus();
}

absl::Status CheckShapes(const Tensor& logits, const Tensor& labels) {
  tensorflow::TensorShape rows = logits.shape();
  if (logits.dims() >= 2) rows.RemoveLastDims(1);
  if (logits.dims() < 2 || rows != labels.shape()) {
    return InvalidArgument("expected logits [..., classes] and labels [...], got logits of shape ",
                           logits.shape().DebugString(), " and labels of shape ", labels.shape().DebugString());
  }
  if (logits.dim_size(logits.dims() - 1) == 0) {
    return InvalidArgument("expected at least one class, got logits of shape ", logits.shape().DebugString());
  }
  return absl::OkStatus();
}

// The type by which kernel.h knows a type of TensorFlow.
template <typename T>
struct KernelType;
template <>
struct KernelType<float> {
  using Type = float;
};
template <>
struct KernelType<Eigen::bfloat16> {
  using Type = Bfloat16;
};
template <>
struct KernelType<Eigen::half> {
  using Type = Half;
};

template <typename T, typename Label>
using Batch = SmoothedSoftmaxXentBatch<typename KernelType<T>::Type, Label>;

template <typename T>
typename KernelType<T>::Type* Data(Tensor* tensor) {
  return reinterpret_cast<typename KernelType<T>::Type*>(tensor->flat<T>().data());
}

template <typename T, typename Label>
Batch<T, Label> MakeBatch(const Tensor& logits, const Tensor& labels, const SmoothedSoftmaxXentOptions& options) {
  const auto* data = reinterpret_cast<const typename KernelType<T>::Type*>(logits.flat<T>().data());
  return {data, labels.flat<Label>().data(), labels.NumElements(), logits.dim_size(logits.dims() - 1), options};
}

struct DeviceCPU {};

const SmoothedSoftmaxXentRow<float>& RowKernels(float) { return SmoothedSoftmaxXent().float32; }
const SmoothedSoftmaxXentRow<Bfloat16>& RowKernels(Bfloat16) { return SmoothedSoftmaxXent().bfloat16; }

// Calls `row(number, label)`, or `ignored(number)`, for each row, on several threads; after all others it refuses the
// first row with a label that is out of range.
template <typename T, typename Label, typename Row, typename Ignored>
absl::Status ForEachRow(OpKernelContext* ctx, const SmoothedSoftmaxXentBatch<T, Label>& batch, Row row,
                        Ignored ignored) {
  std::atomic<int64_t> wrong = batch.rows;
  const auto rows = [&](int64_t begin, int64_t end) {
    for (int64_t number = begin; number < end; ++number) {
      const int64_t label = batch.labels[number];
      if (batch.options.ignores && label == batch.options.ignore_index) {
        ignored(number);
      } else if (label >= 0 && label < batch.classes) {
        row(number, label);
      } else {
        int64_t first = wrong;
        while (number < first && !wrong.compare_exchange_weak(first, number)) continue;
      }
    }
  };
  const auto& pool = *ctx->device()->tensorflow_cpu_worker_threads();
  // Shard must know what a row costs to tell when a second thread pays.
  const int64_t cycles = SmoothedSoftmaxXent().cycles_per_logit * batch.classes;
  tensorflow::Shard(pool.num_threads, pool.workers, batch.rows, cycles, rows);
  if (wrong == batch.rows) return absl::OkStatus();
  return InvalidArgument("labels[", wrong.load(), "] = ", batch.labels[wrong], " is outside [0, ", batch.classes,
                         "), counted over all ", batch.rows, " labels",
                         batch.options.ignores ? absl::StrCat(", and is not ignore_index ", batch.options.ignore_index)
                                               : "");
}

template <typename T, typename Label>
absl::Status Loss(DeviceCPU, OpKernelContext* ctx, const SmoothedSoftmaxXentBatch<T, Label>& batch, float* loss,
                  float* maximum, float* sum) {
  const auto& kernels = RowKernels(T{});
  return ForEachRow(
      ctx, batch,
      [&](int64_t row, int64_t label) {
        Normalizer normalizer;
        loss[row] = kernels.loss(batch.logits + row * batch.classes, batch.classes, label, batch.options, &normalizer);
        maximum[row] = normalizer.maximum;
        sum[row] = normalizer.sum;
      },
      [&](int64_t row) { loss[row] = maximum[row] = sum[row] = 0; });
}

template <typename T, typename Label>
absl::Status Gradient(DeviceCPU, OpKernelContext* ctx, const SmoothedSoftmaxXentBatch<T, Label>& batch,
                      const float* maximum, const float* sum, const float* d_loss, T* gradient) {
  const auto& kernels = RowKernels(T{});
  return ForEachRow(
      ctx, batch,
      [&](int64_t row, int64_t label) {
        const int64_t start = row * batch.classes;
        kernels.gradient(batch.logits + start, batch.classes, label, batch.options, {maximum[row], sum[row]},
                         d_loss[row], gradient + start);
      },
      [&](int64_t row) { std::fill_n(gradient + row * batch.classes, batch.classes, T{}); });
}

#ifdef SLIPWAY_CUDA
struct DeviceGPU {};

void* StreamOf(OpKernelContext* ctx) {
  return ctx->op_device_context()->stream()->platform_specific_handle().stream;
}

absl::Status FromCuda(const char* error) {
  return error ? absl::InternalError(absl::StrCat("SmoothedSoftmaxXent: ", error)) : absl::OkStatus();
}

template <typename T, typename Label>
absl::Status Loss(DeviceGPU, OpKernelContext* ctx, const SmoothedSoftmaxXentBatch<T, Label>& batch, float* loss,
                  float* maximum, float* sum) {
  return FromCuda(SmoothedSoftmaxXentLossOnGpu(StreamOf(ctx), batch, loss, maximum, sum));
}

template <typename T, typename Label>
absl::Status Gradient(DeviceGPU, OpKernelContext* ctx, const SmoothedSoftmaxXentBatch<T, Label>& batch,
                      const float* maximum, const float* sum, const float* d_loss, T* gradient) {
  return FromCuda(SmoothedSoftmaxXentGradientOnGpu(StreamOf(ctx), batch, maximum, sum, d_loss, gradient));
}
#endif

template <typename Device, typename T, typename Label>
class LossOp : public tensorflow::OpKernel {
 public:
  explicit LossOp(OpKernelConstruction* ctx) : OpKernel(ctx) { OP_REQUIRES_OK(ctx, ReadOptions(ctx, &options_)); }

  void Compute(OpKernelContext* ctx) override {
    const Tensor &logits = ctx->input(0), &labels = ctx->input(1);
    OP_REQUIRES_OK(ctx, CheckShapes(logits, labels));
    float* results[3];  // loss, maximum, sum
    for (int output = 0; output < 3; ++output) {
      Tensor* result;
      OP_REQUIRES_OK(ctx, ctx->allocate_output(output, labels.shape(), &result));
      results[output] = result->flat<float>().data();
    }
    OP_REQUIRES_OK(ctx, Loss(Device{}, ctx, MakeBatch<T, Label>(logits, labels, options_), results[0], results[1],
                             results[2]));
  }

 private:
  SmoothedSoftmaxXentOptions options_;
};

template <typename Device, typename T, typename Label>
class GradOp : public tensorflow::OpKernel {
 public:
  explicit GradOp(OpKernelConstruction* ctx) : OpKernel(ctx) { OP_REQUIRES_OK(ctx, ReadOptions(ctx, &options_)); }

  void Compute(OpKernelContext* ctx) override {
    const Tensor &logits = ctx->input(0), &labels = ctx->input(1);
    OP_REQUIRES_OK(ctx, CheckShapes(logits, labels));
    const float* inputs[3];  // maximum, sum, d_loss
    for (int input = 2; input < 5; ++input) {
      const Tensor& given = ctx->input(input);
      OP_REQUIRES(ctx, given.shape() == labels.shape(),
                  InvalidArgument("expected one number a label, got labels of shape ", labels.shape().DebugString(),
                                  " and input ", input, " of shape ", given.shape().DebugString()));
      inputs[input - 2] = given.flat<float>().data();
    }
    // Before the output takes its memory, if it does: that ends what the context knows of the input.
    const auto batch = MakeBatch<T, Label>(logits, labels, options_);
    Tensor* gradient;
    OP_REQUIRES_OK(ctx, ctx->forward_input_or_allocate_output({0}, 0, logits.shape(), &gradient));
    OP_REQUIRES_OK(ctx, Gradient(Device{}, ctx, batch, inputs[0], inputs[1], inputs[2], Data<T>(gradient)));
  }

 private:
  SmoothedSoftmaxXentOptions options_;
};

#define REGISTER(Where, T, Label)                                                                         \
  REGISTER_KERNEL_BUILDER(Name("SmoothedSoftmaxXent")                                                     \
                              .Device(tensorflow::DEVICE_##Where)                                         \
                              .TypeConstraint<T>("T")                                                     \
                              .TypeConstraint<Label>("Label"),                                            \
                          LossOp<Device##Where, T, Label>);                                               \
  REGISTER_KERNEL_BUILDER(Name("SmoothedSoftmaxXentGrad")                                                 \
                              .Device(tensorflow::DEVICE_##Where)                                         \
                              .TypeConstraint<T>("T")                                                     \
                              .TypeConstraint<Label>("Label"),                                            \
                          GradOp<Device##Where, T, Label>);
#define REGISTER_LABELS(Where, T) REGISTER(Where, T, int32_t) REGISTER(Where, T, int64_t)
REGISTER_LABELS(CPU, float)
REGISTER_LABELS(CPU, Eigen::bfloat16)
#ifdef SLIPWAY_CUDA
REGISTER_LABELS(GPU, float)
REGISTER_LABELS(GPU, Eigen::bfloat16)
REGISTER_LABELS(GPU, Eigen::half)
#endif

}  // namespace
}  // namespace slipway
