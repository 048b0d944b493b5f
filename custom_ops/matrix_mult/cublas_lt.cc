// Products on a GPU by cuBLASLt, with bias and gelu in its epilogue. Its functions are those by which TensorFlow's own
// library forwards to the cuBLASLt that TensorFlow opens, when it is first needed: nothing else is linked.
#ifdef SLIPWAY_CUDA
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "custom_ops/matrix_mult/column_major.h"
#include "custom_ops/matrix_mult/gpu.h"
#include "third_party/gpus/cuda/include/cublasLt.h"

namespace slipway {
namespace {

// What NVIDIA recommends for Hopper, where kernels like the most.
constexpr int64_t kMaxWorkspace = 32 << 20;

// Remembers the first call that failed; what comes after it is not called.
class Calls {
 public:
  template <typename Function, typename... Arguments>
  void operator()(const char* name, Function function, Arguments... arguments) {
    if (status_ != CUBLAS_STATUS_SUCCESS) return;
    name_ = name;
    status_ = function(arguments...);
  }
  bool ok() const { return status_ == CUBLAS_STATUS_SUCCESS; }
  bool not_supported() const { return status_ == CUBLAS_STATUS_NOT_SUPPORTED; }
  // The number alone: what would name it is in the library too, which may not have been found.
  std::string Error() const { return std::string(name_) + " failed with cublasStatus_t " + std::to_string(status_); }

 private:
  const char* name_ = "";
  cublasStatus_t status_ = CUBLAS_STATUS_SUCCESS;
};
#define CALL(calls, function, ...) (calls)(#function, function, __VA_ARGS__)

// One for each GPU, kept as long as the process.
cublasLtHandle_t HandleOf(const void* gpu, Calls& calls) {
  static std::mutex* mutex = new std::mutex;
  static auto* handles = new std::map<const void*, cublasLtHandle_t>;
  const std::lock_guard<std::mutex> lock(*mutex);
  cublasLtHandle_t& handle = (*handles)[gpu];
  if (handle == nullptr) CALL(calls, cublasLtCreate, &handle);
  return handle;
}

cudaDataType_t DataType(GpuType type) {
  return type == GpuType::kFloat ? CUDA_R_32F : type == GpuType::kBfloat16 ? CUDA_R_16BF : CUDA_R_16F;
}

template <typename T>
void Set(Calls& calls, cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, T value) {
  CALL(calls, cublasLtMatmulDescSetAttribute, operation, attribute, &value, sizeof(value));
}

template <typename T>
void Set(Calls& calls, cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, T value) {
  CALL(calls, cublasLtMatmulPreferenceSetAttribute, preference, attribute, &value, sizeof(value));
}

void Describe(Calls& calls, const GpuProduct& product, const ColumnMajorProduct& lies, cublasLtMatmulDesc_t operation) {
  const auto compute = product.type == GpuType::kFloat && product.tensor_float ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                               : CUBLAS_COMPUTE_32F;
  CALL(calls, cublasLtMatmulDescInit, operation, compute, CUDA_R_32F);
  Set<int32_t>(calls, operation, CUBLASLT_MATMUL_DESC_TRANSA, lies.first.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  Set<int32_t>(calls, operation, CUBLASLT_MATMUL_DESC_TRANSB, lies.second.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  const uint32_t gelu = product.gelu ? CUBLASLT_EPILOGUE_GELU : 0, bias = product.bias ? CUBLASLT_EPILOGUE_BIAS : 0;
  const uint32_t epilogue = gelu | bias;
  Set<uint32_t>(calls, operation, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue ? epilogue : CUBLASLT_EPILOGUE_DEFAULT);
  if (product.bias) Set<const void*>(calls, operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, product.bias);
}

void Lay(Calls& calls, const ColumnMajorMatrix& matrix, GpuType type, int64_t batches, int64_t step,
         cublasLtMatrixLayout_t layout) {
  CALL(calls, cublasLtMatrixLayoutInit, layout, DataType(type), static_cast<uint64_t>(matrix.rows),
       static_cast<uint64_t>(matrix.columns), matrix.rows);
  const auto count = static_cast<int32_t>(batches);
  CALL(calls, cublasLtMatrixLayoutSetAttribute, layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count));
  CALL(calls, cublasLtMatrixLayoutSetAttribute, layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step,
       sizeof(step));
}

// The largest power of two up to 256 that divides the address: a part of a larger tensor can start anywhere.
uint32_t Alignment(const void* address) {
  const auto bits = reinterpret_cast<uintptr_t>(address) | 256;
  return static_cast<uint32_t>(bits & -bits);
}

void Prefer(Calls& calls, const GpuProduct& product, cublasLtMatmulPreference_t preference) {
  CALL(calls, cublasLtMatmulPreferenceInit, preference);
  Set<uint64_t>(calls, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMaxWorkspace);
  // Without the scheme that rounds parts of a sum to the type of c.
  Set<uint32_t>(calls, preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                CUBLASLT_REDUCTION_SCHEME_INPLACE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
  Set<uint32_t>(calls, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, Alignment(product.b));
  Set<uint32_t>(calls, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, Alignment(product.a));
  Set<uint32_t>(calls, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, Alignment(product.c));
  Set<uint32_t>(calls, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, Alignment(product.c));
}

}  // namespace

Started MultiplyOnGpu(const void* gpu, void* stream, const GpuProduct& product, const Allocate& allocate,
                      std::string* error) {
  Calls calls;
  const ColumnMajorProduct lies =
      ColumnMajor(product.rows, product.columns, product.depth, product.transpose_a, product.transpose_b);
  cublasLtMatmulDescOpaque_t operation;
  cublasLtMatrixLayoutOpaque_t first, second, c;
  cublasLtMatmulPreferenceOpaque_t preference;
  cublasLtMatmulHeuristicResult_t best;
  int found = 0;

  const cublasLtHandle_t handle = HandleOf(gpu, calls);
  Describe(calls, product, lies, &operation);
  Lay(calls, lies.first, product.type, product.batches, product.b_step, &first);
  Lay(calls, lies.second, product.type, product.batches, product.a_step, &second);
  Lay(calls, lies.c, product.c_type, product.batches, product.rows * product.columns, &c);
  Prefer(calls, product, &preference);
  // Asked at every call: cuBLASLt remembers what it found for a shape.
  CALL(calls, cublasLtMatmulAlgoGetHeuristic, handle, &operation, &first, &second, &c, &c, &preference, 1, &best,
       &found);
  if (calls.not_supported() || (calls.ok() && found == 0)) return Started::kNoAlgorithm;

  void* workspace = calls.ok() && best.workspaceSize > 0 ? allocate(static_cast<int64_t>(best.workspaceSize)) : nullptr;
  if (calls.ok() && best.workspaceSize > 0 && workspace == nullptr) {
    *error = "there is no memory for the workspace of cuBLASLt";
    return Started::kFailed;
  }
  const float one = 1, zero = 0;
  CALL(calls, cublasLtMatmul, handle, &operation, &one, product.b, &first, product.a, &second, &zero, product.c, &c,
       product.c, &c, &best.algo, workspace, best.workspaceSize, static_cast<cudaStream_t>(stream));
  if (!calls.ok()) *error = calls.Error();
  return calls.ok() ? Started::kYes : Started::kFailed;
}

}  // namespace slipway
#endif
