// SmoothedSoftmaxXent and its gradient for XLA: the formulas of kernel.cc, which XLA fuses on whatever device it compiles
// for. A device cannot raise: a label out of range makes loss and gradient of its row NaN.
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/compiler/tf2xla/xla_op_registry.h"
#include "xla/hlo/builder/lib/arithmetic.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"

namespace slipway {
namespace {

using ::tensorflow::OpKernelConstruction;
using ::tensorflow::XlaOpKernelContext;
using ::xla::XlaOp;

// What both share: the options, and the rows with their labels.
class RowsXlaOp : public tensorflow::XlaOpKernel {
 public:
  explicit RowsXlaOp(OpKernelConstruction* ctx) : XlaOpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("label_smoothing", &smoothing_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("z_loss", &z_loss_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("ignore_index", &ignore_index_));
  }

 protected:
  struct Rows {
    std::vector<int64_t> shape;       // [..., classes]
    std::vector<int64_t> batch_dims;  // all but the last of them
    XlaOp logits;                     // in float32
    XlaOp labels;                     // int64 [...]
    XlaOp is_label;                   // [..., classes]

    int64_t classes() const { return shape.back(); }
    // A value a row to one a logit.
    XlaOp Spread(XlaOp rows) const { return xla::BroadcastInDim(rows, shape, batch_dims); }
  };

  static absl::Status Read(XlaOpKernelContext* ctx, Rows* read) {
    Rows& rows = *read;
    TF_ASSIGN_OR_RETURN(const xla::Shape shape, ctx->InputXlaShape(0));
    rows.shape.assign(shape.dimensions().begin(), shape.dimensions().end());
    rows.batch_dims.resize(rows.shape.size() - 1);
    std::iota(rows.batch_dims.begin(), rows.batch_dims.end(), 0);
    rows.logits = xla::ConvertElementType(ctx->Input(0), xla::F32);
    rows.labels = xla::ConvertElementType(ctx->Input(1), xla::S64);
    const XlaOp classes = xla::Iota(ctx->builder(), xla::ShapeUtil::MakeShape(xla::S64, rows.shape),
                                    static_cast<int64_t>(rows.shape.size()) - 1);
    rows.is_label = xla::Eq(classes, rows.Spread(rows.labels));
    return absl::OkStatus();
  }

  // `value` where the row counts, 0 where its label is ignore_index.
  XlaOp UnlessIgnored(const Rows& rows, XlaOp value, bool a_logit_each) const {
    for (int64_t ignored : ignore_index_) {
      XlaOp is_ignored = xla::Eq(rows.labels, xla::ConstantR0<int64_t>(value.builder(), ignored));
      if (a_logit_each) is_ignored = rows.Spread(is_ignored);
      value = xla::Select(is_ignored, xla::ZerosLike(value), value);
    }
    return value;
  }

  float smoothing_, z_loss_;
  std::vector<int64_t> ignore_index_;
};

class SmoothedSoftmaxXentXlaOp : public RowsXlaOp {
 public:
  using RowsXlaOp::RowsXlaOp;

  void Compile(XlaOpKernelContext* ctx) override {
    Rows rows;
    OP_REQUIRES_OK(ctx, Read(ctx, &rows));
    xla::XlaBuilder* builder = ctx->builder();
    const std::vector<int64_t> last = {static_cast<int64_t>(rows.shape.size()) - 1};
    const auto sum = [&](XlaOp values) {
      return xla::Reduce(values, xla::ConstantR0<float>(builder, 0), xla::CreateScalarAddComputation(xla::F32, builder),
                         last);
    };
    const XlaOp maximum = xla::Reduce(rows.logits, xla::MinValue(builder, xla::F32),
                                      xla::CreateScalarMaxComputation(xla::F32, builder), last);
    const XlaOp shifted = xla::Sub(rows.logits, maximum, rows.batch_dims);
    const XlaOp nan = xla::FullLike(maximum, std::numeric_limits<float>::quiet_NaN());
    const XlaOp in_range = xla::And(xla::Ge(rows.labels, xla::ZerosLike(rows.labels)),
                                    xla::Lt(rows.labels, xla::FullLike(rows.labels, rows.classes())));
    const XlaOp total = xla::Select(in_range, sum(xla::Exp(shifted)), nan);

    const XlaOp log_sum = xla::Log(total), log_sum_exp = maximum + log_sum;
    XlaOp loss = log_sum;
    // What has no share has no say: an infinite logit must not turn 0 * inf into NaN.
    if (smoothing_ < 1) {
      const XlaOp of_label = sum(xla::Select(rows.is_label, shifted, xla::ZerosLike(shifted)));
      loss = loss - of_label * xla::FullLike(of_label, 1 - smoothing_);
    }
    if (smoothing_ > 0) {
      const XlaOp of_all = sum(shifted);
      loss = loss - of_all * xla::FullLike(of_all, smoothing_ / static_cast<float>(rows.classes()));
    }
    if (z_loss_ != 0) loss = loss + log_sum_exp * log_sum_exp * xla::FullLike(loss, z_loss_);
    ctx->SetOutput(0, UnlessIgnored(rows, loss, false));
    ctx->SetOutput(1, maximum);
    ctx->SetOutput(2, total);
  }
};

class SmoothedSoftmaxXentGradXlaOp : public RowsXlaOp {
 public:
  using RowsXlaOp::RowsXlaOp;

  void Compile(XlaOpKernelContext* ctx) override {
    Rows rows;
    OP_REQUIRES_OK(ctx, Read(ctx, &rows));
    const XlaOp maximum = ctx->Input(2), total = ctx->Input(3), d_loss = ctx->Input(4);
    const XlaOp log_sum_exp = maximum + xla::Log(total);
    const XlaOp weight = d_loss + d_loss * log_sum_exp * xla::FullLike(d_loss, 2 * z_loss_);
    const XlaOp exponentials = xla::Exp(xla::Sub(rows.logits, maximum, rows.batch_dims));
    const XlaOp shared = d_loss * xla::FullLike(d_loss, smoothing_ / static_cast<float>(rows.classes()));
    const XlaOp of_label = rows.Spread(d_loss * xla::FullLike(d_loss, 1 - smoothing_));
    const XlaOp gradient = exponentials * rows.Spread(weight / total) - rows.Spread(shared) -
                           xla::Select(rows.is_label, of_label, xla::ZerosLike(of_label));
    ctx->SetOutput(0, xla::ConvertElementType(UnlessIgnored(rows, gradient, true), ctx->input_xla_type(0)));
  }
};

// Not with REGISTER_XLA_OP: XLA's own registry is closed once TensorFlow has made its devices.
#define REGISTER_XLA(Target)                                                                                 \
  REGISTER_KERNEL_BUILDER(Name("SmoothedSoftmaxXent").Device(tensorflow::Target), SmoothedSoftmaxXentXlaOp); \
  REGISTER_KERNEL_BUILDER(Name("SmoothedSoftmaxXentGrad").Device(tensorflow::Target), SmoothedSoftmaxXentGradXlaOp)
REGISTER_XLA(DEVICE_CPU_XLA_JIT);
REGISTER_XLA(DEVICE_GPU_XLA_JIT);
#undef REGISTER_XLA

}  // namespace
}  // namespace slipway
