// MatrixMult for XLA: a dot with what follows, which XLA fuses on whatever device it compiles for.
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/compiler/tf2xla/xla_op_registry.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/lib/matrix.h"
#include "xla/hlo/builder/xla_builder.h"

namespace slipway {
namespace {

using ::tensorflow::XlaOpKernelContext;
using ::xla::XlaOp;
using Sizes = std::vector<int64_t>;

class MatrixMultXlaOp : public tensorflow::XlaOpKernel {
 public:
  explicit MatrixMultXlaOp(tensorflow::OpKernelConstruction* ctx) : XlaOpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("transpose_a", &transpose_a_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("transpose_b", &transpose_b_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("activation", &activation_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("with_slope", &with_slope_));
  }

  void Compile(XlaOpKernelContext* ctx) override {
    Sizes a, b;  // that these fit has been seen when their shapes were inferred
    OP_REQUIRES_OK(ctx, Read(ctx, 0, &a));
    OP_REQUIRES_OK(ctx, Read(ctx, 1, &b));
    const Sizes batch = Broadcast(a, b);
    XlaOp z = xla::BatchDot(Spread(ctx->Input(0), a, batch), transpose_a_, Spread(ctx->Input(1), b, batch),
                            transpose_b_, xla::PrecisionConfig::DEFAULT, xla::F32);
    if (ctx->num_inputs() > 2) {
      z = xla::Add(z, xla::ConvertElementType(ctx->Input(2), xla::F32), {static_cast<int64_t>(batch.size()) + 1});
    }

    XlaOp c = z, slope = xla::Zeros(ctx->builder(), xla::ShapeUtil::MakeShape(xla::F32, {0}));
    if (activation_ == "relu") c = xla::Max(z, xla::ZerosLike(z));
    if (activation_ == "gelu") {
      const float linear = std::sqrt(2 / M_PI), cubic = linear * 0.044715f;
      const auto number = [&](float value) { return xla::FullLike(z, value); };
      const XlaOp square = z * z, tanh = xla::Tanh(z * (number(linear) + number(cubic) * square));
      c = number(0.5f) * z * (number(1) + tanh);
      if (with_slope_) {
        slope = number(0.5f) * (number(1) + tanh) +
                number(0.5f) * z * (number(1) - tanh * tanh) * (number(linear) + number(3 * cubic) * square);
      }
    }
    ctx->SetOutput(0, xla::ConvertElementType(c, ctx->input_xla_type(0)));
    ctx->SetOutput(1, xla::ConvertElementType(slope, ctx->input_xla_type(0)));
  }

 private:
  static absl::Status Read(XlaOpKernelContext* ctx, int input, Sizes* sizes) {
    TF_ASSIGN_OR_RETURN(const xla::Shape shape, ctx->InputXlaShape(input));
    sizes->assign(shape.dimensions().begin(), shape.dimensions().end());
    return absl::OkStatus();
  }

  // Batch dimensions of the product: the longer of both, where an entry of 1 becomes that of the other.
  static Sizes Broadcast(const Sizes& a, const Sizes& b) {
    const Sizes &longer = a.size() < b.size() ? b : a, &shorter = a.size() < b.size() ? a : b;
    Sizes batch(longer.begin(), longer.end() - 2);
    for (size_t back = 1; back + 2 <= shorter.size(); ++back) {
      int64_t& size = batch[batch.size() - back];
      if (size == 1) size = shorter[shorter.size() - 2 - back];
    }
    return batch;
  }

  // A factor with all batch dimensions of the product.
  static XlaOp Spread(XlaOp factor, const Sizes& sizes, const Sizes& batch) {
    Sizes spread = batch, places(sizes.size());
    spread.insert(spread.end(), sizes.end() - 2, sizes.end());
    std::iota(places.begin(), places.end(), static_cast<int64_t>(spread.size() - sizes.size()));
    return spread == sizes ? factor : xla::BroadcastInDim(factor, spread, places);
  }

  bool transpose_a_, transpose_b_, with_slope_;
  std::string activation_;
};

// Not with REGISTER_XLA_OP: XLA's own registry is closed once TensorFlow has made its devices.
REGISTER_KERNEL_BUILDER(Name("MatrixMult").Device(tensorflow::DEVICE_CPU_XLA_JIT), MatrixMultXlaOp);
REGISTER_KERNEL_BUILDER(Name("MatrixMult").Device(tensorflow::DEVICE_GPU_XLA_JIT), MatrixMultXlaOp);

}  // namespace
}  // namespace slipway
