// MatrixMult for TensorFlow: what it accepts, the shapes it gives, and how blocks of its result are spread over TF's own
// thread pool. The arithmetic is in kernel.cc.
#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "custom_ops/matrix_mult/kernel.h"
#include "custom_ops/matrix_mult/op_base.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/platform/threadpool.h"

namespace slipway {
namespace {

using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;
using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;
using Plan = MatrixMultPlan;

absl::Status InferShapes(InferenceContext* c) {
  const ShapeHandle a = c->input(0), b = c->input(1);
  bool transpose_a, transpose_b, with_slope;
  TF_RETURN_IF_ERROR(c->GetAttr("transpose_a", &transpose_a));
  TF_RETURN_IF_ERROR(c->GetAttr("transpose_b", &transpose_b));
  TF_RETURN_IF_ERROR(c->GetAttr("with_slope", &with_slope));
  const auto refused = [&](const char* expected) {
    return InvalidMatrixMult("expected ", expected, ", got a of shape ", c->DebugString(a), " and b of shape ",
                             c->DebugString(b), transpose_a ? ", a transposed" : "",
                             transpose_b ? ", b transposed" : "",
                             c->num_inputs() > 2 ? absl::StrCat(", bias of shape ", c->DebugString(c->input(2))) : "");
  };
  ShapeHandle a_batch, b_batch, batch, c_shape;
  if (!c->WithRankAtLeast(a, 2, &a_batch).ok() || !c->WithRankAtLeast(b, 2, &b_batch).ok()) {
    return refused("matrices, or batches of them");
  }
  DimensionHandle depth, columns = c->Dim(b, transpose_b ? -2 : -1);
  if (!c->Merge(c->Dim(a, transpose_a ? -2 : -1), c->Dim(b, transpose_b ? -1 : -2), &depth).ok()) {
    return refused("a with as many columns as b has rows");
  }
  if (c->num_inputs() > 3) return refused("at most one bias");
  if (c->num_inputs() == 3) {
    ShapeHandle bias;
    if (!c->WithRank(c->input(2), 1, &bias).ok() || !c->Merge(columns, c->Dim(bias, 0), &columns).ok()) {
      return refused("a bias for each column of b");
    }
  }
  TF_RETURN_IF_ERROR(c->Subshape(a, 0, -2, &a_batch));
  TF_RETURN_IF_ERROR(c->Subshape(b, 0, -2, &b_batch));
  if (!tensorflow::shape_inference::BroadcastBinaryOpOutputShapeFnHelper(c, a_batch, b_batch, true, &batch).ok()) {
    return refused("batch dimensions that broadcast");
  }
  TF_RETURN_IF_ERROR(c->Concatenate(batch, c->Matrix(c->Dim(a, transpose_a ? -1 : -2), columns), &c_shape));
  c->set_output(0, c_shape);
  c->set_output(1, with_slope ? c_shape : c->Vector(0));
  return absl::OkStatus();
}

// A larger result would push all else out of the caches, and then itself.
constexpr size_t kCacheBytes = 16 << 20;

// What is worth handing over to another thread.
constexpr int64_t kLeastCycles = 100'000;

// Blocks into which each matrix of a result is cut.
struct Grid {
  int64_t row_step, column_step, row_blocks, column_blocks;
};

int64_t CeilDiv(int64_t value, int64_t by) { return (value + by - 1) / by; }

// Blocks of the size that the kernels like, and smaller ones where a thread would go short.
Grid Cut(const Plan& plan, int threads, const MatrixMultKernels& kernels) {
  int64_t row_blocks = CeilDiv(plan.rows, kernels.max_rows(plan.depth));
  int64_t column_blocks = CeilDiv(plan.columns, kernels.max_columns);
  const auto uneven = [&] {
    const int64_t blocks = plan.batches * row_blocks * column_blocks;
    return blocks < threads || (blocks < 4 * threads && blocks % threads != 0);
  };
  while (uneven()) {
    const bool columns_left = plan.columns > column_blocks * kernels.column_step;
    if (!columns_left && plan.rows < 2 * row_blocks * kernels.row_step) break;
    (columns_left ? column_blocks : row_blocks) *= 2;
  }
  Grid grid;
  grid.row_step = CeilDiv(plan.rows, row_blocks);
  grid.column_step = CeilDiv(CeilDiv(plan.columns, column_blocks), kernels.column_step) * kernels.column_step;
  grid.row_blocks = CeilDiv(plan.rows, grid.row_step);
  grid.column_blocks = CeilDiv(plan.columns, grid.column_step);
  return grid;
}

template <typename T>
struct KernelType;
template <>
struct KernelType<float> {
  using Type = float;
  static constexpr auto kBlock = &MatrixMultKernels::float32;
};
template <>
struct KernelType<tensorflow::bfloat16> {
  using Type = Bfloat16;
  static constexpr auto kBlock = &MatrixMultKernels::bfloat16;
};

template <typename T>
class MatrixMultCpu : public MatrixMultBase {
 public:
  using MatrixMultBase::MatrixMultBase;

 private:
  using Element = typename KernelType<T>::Type;

  void Multiply(OpKernelContext* ctx, const Plan& all, const Tensor& a, const Tensor& b, const Tensor* bias, Tensor* c,
                Tensor* slope) override {
    const Plan plan = Folded(all, a.shape(), b.shape());
    const MatrixMultKernels& kernels = MatrixMult();
    auto* workers = ctx->device()->tensorflow_cpu_worker_threads()->workers;
    const Grid grid = Cut(plan, workers->NumThreads(), kernels);

    // One for each thread of the pool, and one for that which called.
    const int64_t scratch_bytes = CeilDiv(kernels.scratch_bytes(grid.row_step, grid.column_step), 64) * 64;
    Tensor scratch;
    OP_REQUIRES_OK(ctx, ctx->allocate_temp(tensorflow::DT_UINT8,
                                           TensorShape({(workers->NumThreads() + 1) * scratch_bytes}), &scratch));

    Product<Element> first;
    first.a = View(a, transpose_a_);
    first.b = View(b, transpose_b_);
    first.bias = bias ? Elements(*bias) : nullptr;
    first.activation = activation_;
    first.depth = plan.depth;
    first.c = Writable(c);
    first.slope = slope ? Writable(slope) : nullptr;
    first.c_stride = plan.columns;
    first.past_caches = c->TotalBytes() > kCacheBytes;

    const int64_t blocks = grid.row_blocks * grid.column_blocks;
    const auto work = [&](int64_t begin, int64_t end, int worker) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t matrix = i / blocks, row = i % blocks / grid.column_blocks, column = i % grid.column_blocks;
        Product<Element> product = first;
        product.a.data += plan.IndexIn(a.shape(), matrix) * plan.rows * plan.depth;
        product.b.data += plan.IndexIn(b.shape(), matrix) * plan.depth * plan.columns;
        product.c += matrix * plan.rows * plan.columns;
        if (slope) product.slope += matrix * plan.rows * plan.columns;
        (kernels.*KernelType<T>::kBlock)(product, Step(row, grid.row_step, plan.rows),
                                         Step(column, grid.column_step, plan.columns),
                                         scratch.flat<uint8_t>().data() + worker * scratch_bytes);
      }
    };
    // Even one row reads all of b.
    const int64_t cycles = std::max<int64_t>(grid.row_step, 4) * grid.column_step * plan.depth / kernels.per_cycle;
    // Each handed over alone, since no two take equally long; but never so little that the way takes longer.
    const int64_t at_once = CeilDiv(kLeastCycles, std::max<int64_t>(cycles, 1));
    workers->ParallelForWithWorkerId(plan.batches * blocks,
                                     tensorflow::thread::ThreadPool::SchedulingParams::Fixed(at_once), work);
  }

  static Range Step(int64_t index, int64_t step, int64_t total) {
    return {index * step, std::min((index + 1) * step, total)};
  }
  static const Element* Elements(const Tensor& tensor) {
    return reinterpret_cast<const Element*>(tensor.flat<T>().data());
  }
  static Element* Writable(Tensor* tensor) { return reinterpret_cast<Element*>(tensor->flat<T>().data()); }
  static Matrix<Element> View(const Tensor& tensor, bool transposed) {
    const int64_t width = tensor.dim_size(tensor.dims() - 1);
    return transposed ? Matrix<Element>{Elements(tensor), 1, width} : Matrix<Element>{Elements(tensor), width, 1};
  }
};

REGISTER_OP("MatrixMult")
    .Input("a: T")
    .Input("b: T")
    .Input("bias: num_bias * T")
    .Output("c: T")
    .Output("slope: T")
    .Attr("T: {float, bfloat16, half}")
    .Attr("num_bias: int >= 0")
    .Attr("activation: {'none', 'relu', 'gelu'} = 'none'")
    .Attr("transpose_a: bool = false")
    .Attr("transpose_b: bool = false")
    .Attr("with_slope: bool = false")
    .SetShapeFn(InferShapes)
    .Doc(R"doc(
c = activation(a b + bias), in one pass; sums are of float32 for every T, and rounded once.

a: [..., rows, depth], or with transpose_a [..., depth, rows].
b: [..., depth, columns], or with transpose_b [..., columns, depth]. Batch dimensions broadcast.
bias: none, or one of [columns].
activation: gelu is the approximation by tanh.
with_slope: whether to give the slope, of gelu only.
c: [..., rows, columns].
slope: the derivative of c with respect to a b + bias, of the shape of c; without with_slope, [0].
)doc");

#define REGISTER_CPU(Type)                                                                           \
  REGISTER_KERNEL_BUILDER(Name("MatrixMult").Device(tensorflow::DEVICE_CPU).TypeConstraint<Type>("T"), \
                          MatrixMultCpu<Type>)
REGISTER_CPU(float);
REGISTER_CPU(tensorflow::bfloat16);
#undef REGISTER_CPU

}  // namespace
}  // namespace slipway
