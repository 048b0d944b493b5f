// MatrixMult on a GPU: which calls of cuBLASLt make up a product, and what of its epilogue is not cuBLASLt's.
#ifdef SLIPWAY_CUDA
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/matrix_mult/gpu.h"
#include "custom_ops/matrix_mult/op_base.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/tensor_float_32_utils.h"
#include "xla/stream_executor/stream.h"

namespace slipway {
namespace {

template <typename T>
struct TypeOnGpu;
template <>
struct TypeOnGpu<float> {
  using Type = float;
  static constexpr GpuType kType = GpuType::kFloat;
};
template <>
struct TypeOnGpu<Eigen::bfloat16> {
  using Type = Bfloat16;
  static constexpr GpuType kType = GpuType::kBfloat16;
};
template <>
struct TypeOnGpu<Eigen::half> {
  using Type = Half;
  static constexpr GpuType kType = GpuType::kHalf;
};

template <typename T>
class MatrixMultGpu : public MatrixMultBase {
 public:
  using MatrixMultBase::MatrixMultBase;

 private:
  using Element = typename TypeOnGpu<T>::Type;

  void Multiply(OpKernelContext* ctx, const MatrixMultPlan& all, const Tensor& a, const Tensor& b, const Tensor* bias,
                Tensor* c, Tensor* slope) override {
    const MatrixMultPlan plan = Folded(all, a.shape(), b.shape());
    const Element* of_bias = bias ? Elements(*bias) : nullptr;
    if (plan.depth == 0) {
      OP_REQUIRES_OK(ctx, Finish<float>(ctx, plan, nullptr, of_bias, c, slope));
      return;
    }
    GpuProduct product = Product(plan);
    if (slope == nullptr) {
      product.bias = of_bias;
      product.gelu = activation_ == Activation::kGelu;
      bool started = false;
      OP_REQUIRES_OK(ctx, Start(ctx, plan, a, b, product, Writable(c), &started));
      if (started && activation_ == Activation::kRelu) {
        // With cuBLASLt's own relu NaN would become 0.
        OP_REQUIRES_OK(ctx, Finish(ctx, plan, Elements(*c), nullptr, c, nullptr));
      }
      if (started) return;
    }
    OP_REQUIRES_OK(ctx, InTwo(ctx, plan, a, b, of_bias, c, slope));
  }

  // The product in float32, where it is c itself or takes memory until the rest has been done.
  absl::Status InTwo(OpKernelContext* ctx, const MatrixMultPlan& plan, const Tensor& a, const Tensor& b,
                     const Element* bias, Tensor* c, Tensor* slope) const {
    Tensor z = *c;
    if (TypeOnGpu<T>::kType != GpuType::kFloat) {
      TF_RETURN_IF_ERROR(ctx->allocate_temp(tensorflow::DT_FLOAT, c->shape(), &z));
    }
    GpuProduct product = Product(plan);
    product.c_type = GpuType::kFloat;
    float* const sums = z.flat<float>().data();
    bool started = false;
    TF_RETURN_IF_ERROR(Start(ctx, plan, a, b, product, sums, &started));
    if (!started) {
      return absl::UnimplementedError(absl::StrCat(
          "MatrixMult: cuBLASLt has no algorithm for a of shape ", a.shape().DebugString(), " and b of shape ",
          b.shape().DebugString(), " on this GPU; call matrix_mult in the scope custom_ops.composite()"));
    }
    return Finish<float>(ctx, plan, sums, bias, c, slope);
  }

  GpuProduct Product(const MatrixMultPlan& plan) const {
    GpuProduct product = {};
    product.type = product.c_type = TypeOnGpu<T>::kType;
    product.rows = plan.rows;
    product.columns = plan.columns;
    product.depth = plan.depth;
    product.transpose_a = transpose_a_;
    product.transpose_b = transpose_b_;
    product.tensor_float = tsl::tensor_float_32_execution_enabled();
    return product;
  }

  // In one call where the matrices of both factors stand at even steps, else in one for each of them. Not started:
  // there is no algorithm.
  template <typename C>
  absl::Status Start(OpKernelContext* ctx, const MatrixMultPlan& plan, const Tensor& a, const Tensor& b,
                     GpuProduct product, C* c, bool* started) const {
    const bool even = Even(plan, a.shape()) && Even(plan, b.shape());
    const int64_t a_size = plan.rows * plan.depth, b_size = plan.depth * plan.columns;
    product.batches = even ? plan.batches : 1;
    product.a_step = even && plan.batches > 1 ? plan.IndexIn(a.shape(), 1) * a_size : 0;
    product.b_step = even && plan.batches > 1 ? plan.IndexIn(b.shape(), 1) * b_size : 0;
    auto* stream = ctx->op_device_context()->stream();
    for (int64_t i = 0; i < plan.batches; i += product.batches) {
      product.a = Elements(a) + plan.IndexIn(a.shape(), i) * a_size;
      product.b = Elements(b) + plan.IndexIn(b.shape(), i) * b_size;
      product.c = c + i * plan.rows * plan.columns;
      Tensor workspace;
      const Allocate allocate = [&](int64_t bytes) -> void* {
        const auto made = ctx->allocate_temp(tensorflow::DT_UINT8, TensorShape({bytes}), &workspace);
        return made.ok() ? workspace.flat<uint8_t>().data() : nullptr;
      };
      std::string error;
      const Started now =
          MultiplyOnGpu(stream->parent(), stream->platform_specific_handle().stream, product, allocate, &error);
      if (now == Started::kFailed) return absl::InternalError(absl::StrCat("MatrixMult: ", error));
      *started = now == Started::kYes;
      if (!*started) break;
    }
    return absl::OkStatus();
  }

  static bool Even(const MatrixMultPlan& plan, const TensorShape& factor) {
    const int64_t step = plan.batches > 1 ? plan.IndexIn(factor, 1) : 0;
    for (int64_t i = 2; i < plan.batches; ++i) {
      if (plan.IndexIn(factor, i) != i * step) return false;
    }
    return true;
  }

  template <typename Z>
  absl::Status Finish(OpKernelContext* ctx, const MatrixMultPlan& plan, const Z* z, const Element* bias, Tensor* c,
                      Tensor* slope) const {
    void* const stream = ctx->op_device_context()->stream()->platform_specific_handle().stream;
    const char* error = FinishOnGpu(stream, z, bias, activation_, plan.batches * plan.rows, plan.columns, Writable(c),
                                    slope ? Writable(slope) : nullptr);
    return error ? absl::InternalError(absl::StrCat("MatrixMult: ", error)) : absl::OkStatus();
  }

  static const Element* Elements(const Tensor& tensor) {
    return reinterpret_cast<const Element*>(tensor.flat<T>().data());
  }
  static Element* Writable(Tensor* tensor) { return reinterpret_cast<Element*>(tensor->flat<T>().data()); }
};

#define REGISTER_GPU(Type)                                                                             \
  REGISTER_KERNEL_BUILDER(Name("MatrixMult").Device(tensorflow::DEVICE_GPU).TypeConstraint<Type>("T"), \
                          MatrixMultGpu<Type>)
REGISTER_GPU(float);
REGISTER_GPU(Eigen::bfloat16);
REGISTER_GPU(Eigen::half);
#undef REGISTER_GPU

}  // namespace
}  // namespace slipway
#endif
