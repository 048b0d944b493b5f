// What the kernels of MatrixMult share, whatever device they are for: attributes, checks, outputs, and which matrices
// make a batch. What there is to a product itself is in op.cc for CPUs and op_gpu.cc for GPUs.
#ifndef SLIPWAY_CUSTOM_OPS_MATRIX_MULT_OP_BASE_H_
#define SLIPWAY_CUSTOM_OPS_MATRIX_MULT_OP_BASE_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/matrix_mult/kernel.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace slipway {

template <typename... Parts>
absl::Status InvalidMatrixMult(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("MatrixMult: ", parts...));
}

// What a call computes: matrices c[i] = a[a_index(i)] b[b_index(i)], each [rows, columns].
struct MatrixMultPlan {
  int64_t batches = 1, rows, columns, depth;
  tensorflow::TensorShape batch, shape;  // of c: without the last two dimensions, and with them

  // Which matrix of a factor the i-th of c is made of.
  int64_t IndexIn(const tensorflow::TensorShape& factor, int64_t i) const {
    int64_t index = 0, stride = 1;
    for (int back = 1; back <= factor.dims() - 2; ++back) {
      const int64_t size = factor.dim_size(factor.dims() - 2 - back);
      const int64_t of_c = batch.dim_size(batch.dims() - back);
      if (size > 1) index += stride * (i % of_c);
      stride *= size;
      i /= of_c;
    }
    return index;
  }
};

// What kernels for all devices share: attributes, checks and outputs.
class MatrixMultBase : public tensorflow::OpKernel {
 public:
  explicit MatrixMultBase(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("transpose_a", &transpose_a_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("transpose_b", &transpose_b_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("with_slope", &with_slope_));
    std::string activation;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("activation", &activation));
    activation_ = activation == "relu"   ? Activation::kRelu
                  : activation == "gelu" ? Activation::kGelu
                                         : Activation::kNone;
    OP_REQUIRES(ctx, !with_slope_ || activation_ == Activation::kGelu,
                InvalidMatrixMult("with_slope needs activation gelu, got ", activation));
  }

  void Compute(tensorflow::OpKernelContext* ctx) final {
    const Tensor &a = ctx->input(0), &b = ctx->input(1);
    const Tensor* bias = ctx->num_inputs() > 2 ? &ctx->input(2) : nullptr;
    MatrixMultPlan plan;
    OP_REQUIRES_OK(ctx, MakePlan(a.shape(), b.shape(), bias, &plan));
    Tensor *c, *slope;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, plan.shape, &c));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, with_slope_ ? plan.shape : TensorShape({0}), &slope));
    if (plan.shape.num_elements() > 0) Multiply(ctx, plan, a, b, bias, c, with_slope_ ? slope : nullptr);
  }

 protected:
  using OpKernelContext = tensorflow::OpKernelContext;
  using Tensor = tensorflow::Tensor;
  using TensorShape = tensorflow::TensorShape;

  // Fills c and slope, which have elements; bias and slope may be nullptr.
  virtual void Multiply(OpKernelContext* ctx, const MatrixMultPlan& plan, const Tensor& a, const Tensor& b,
                        const Tensor* bias, Tensor* c, Tensor* slope) = 0;

  // One matrix instead of many where they lie one below the other and b is the same for all.
  MatrixMultPlan Folded(MatrixMultPlan plan, const TensorShape& a, const TensorShape& b) const {
    if (transpose_a_ || b.num_elements() != plan.depth * plan.columns) return plan;
    if (a.num_elements() != plan.batches * plan.rows * plan.depth) return plan;
    plan.rows *= plan.batches;
    plan.batches = 1;
    return plan;
  }

  bool transpose_a_, transpose_b_, with_slope_;
  Activation activation_;

 private:
  absl::Status MakePlan(const TensorShape& a, const TensorShape& b, const Tensor* bias,
                        MatrixMultPlan* plan) const {
    const auto refused = [&](const char* expected) {
      return InvalidMatrixMult("expected ", expected, ", got a of shape ", a.DebugString(), " and b of shape ",
                               b.DebugString(), transpose_a_ ? ", a transposed" : "",
                               transpose_b_ ? ", b transposed" : "",
                               bias ? absl::StrCat(", bias of shape ", bias->shape().DebugString()) : "");
    };
    if (a.dims() < 2 || b.dims() < 2) return refused("matrices, or batches of them");
    const int64_t a_rows = a.dim_size(a.dims() - 2), a_columns = a.dim_size(a.dims() - 1);
    const int64_t b_rows = b.dim_size(b.dims() - 2), b_columns = b.dim_size(b.dims() - 1);
    plan->rows = transpose_a_ ? a_columns : a_rows;
    plan->depth = transpose_a_ ? a_rows : a_columns;
    plan->columns = transpose_b_ ? b_rows : b_columns;
    if (plan->depth != (transpose_b_ ? b_columns : b_rows)) return refused("a with as many columns as b has rows");
    if (bias && (bias->dims() != 1 || bias->dim_size(0) != plan->columns)) {
      return refused("a bias for each column of b");
    }
    const int dims = std::max(a.dims(), b.dims()) - 2;
    for (int i = 0; i < dims; ++i) {
      const int at_a = i + a.dims() - 2 - dims, at_b = i + b.dims() - 2 - dims;
      const int64_t of_a = at_a < 0 ? 1 : a.dim_size(at_a), of_b = at_b < 0 ? 1 : b.dim_size(at_b);
      if (of_a != of_b && of_a != 1 && of_b != 1) return refused("batch dimensions that broadcast");
      TF_RETURN_IF_ERROR(plan->batch.AddDimWithStatus(of_a == 1 ? of_b : of_a));
    }
    plan->batches = plan->batch.num_elements();
    plan->shape = plan->batch;
    TF_RETURN_IF_ERROR(plan->shape.AddDimWithStatus(plan->rows));
    return plan->shape.AddDimWithStatus(plan->columns);
  }
};

}  // namespace slipway

#endif  // SLIPWAY_CUSTOM_OPS_MATRIX_MULT_OP_BASE_H_
