// The arithmetic of SmoothedSoftmaxXent and its gradient. Knows nothing of TensorFlow, so it can be compiled with any
// flags.
#ifndef SLIPWAY_CUSTOM_OPS_SMOOTHED_SOFTMAX_XENT_KERNEL_H_
#define SLIPWAY_CUSTOM_OPS_SMOOTHED_SOFTMAX_XENT_KERNEL_H_

#include <cstdint>

#include "custom_ops/cc/halves.h"
#include "custom_ops/cc/isa.h"

namespace slipway {

struct SmoothedSoftmaxXentOptions {
  float label_smoothing = 0;
  float z_loss = 0;
  bool ignores = false;      // whether there is an ignore_index
  int64_t ignore_index = 0;  // rows with this label are not looked at
};

// `rows` rows of `classes` logits, one after the other, and a label for each.
template <typename T, typename Label>
struct SmoothedSoftmaxXentBatch {
  const T* logits;
  const Label* labels;
  int64_t rows;
  int64_t classes;
  SmoothedSoftmaxXentOptions options;
};

// What the gradient of a row needs of the forward pass.
struct Normalizer {
  float maximum;  // of the logits
  float sum;      // of exp(logits - maximum); NaN where the loss is
};

// Each on one row of `classes` logits; 0 <= label < classes.
template <typename T>
struct SmoothedSoftmaxXentRow {
  float (*loss)(const T* logits, int64_t classes, int64_t label, SmoothedSoftmaxXentOptions options,
                Normalizer* normalizer);
  // Writes d_loss times the derivative of the loss into `gradient`, which may be the memory of `logits`.
  void (*gradient)(const T* logits, int64_t classes, int64_t label, SmoothedSoftmaxXentOptions options,
                   Normalizer normalizer, float d_loss, T* gradient);
};

struct SmoothedSoftmaxXentKernels {
  int64_t cycles_per_logit;  // about; either way
  SmoothedSoftmaxXentRow<float> float32;
  SmoothedSoftmaxXentRow<Bfloat16> bfloat16;
};
SLIPWAY_DECLARE_KERNELS(SmoothedSoftmaxXentKernels, SmoothedSoftmaxXent)

// All rows on the GPU of `stream`, a cudaStream_t: pointers are to its memory, and the result is there when the stream
// has come so far. A label out of range makes all results of its row NaN. They return null, or why nothing was started.
template <typename T, typename Label>
const char* SmoothedSoftmaxXentLossOnGpu(void* stream, const SmoothedSoftmaxXentBatch<T, Label>& batch, float* loss,
                                         float* maximum, float* sum);
template <typename T, typename Label>
const char* SmoothedSoftmaxXentGradientOnGpu(void* stream, const SmoothedSoftmaxXentBatch<T, Label>& batch,
                                             const float* maximum, const float* sum, const float* d_loss, T* gradient);

}  // namespace slipway

#endif  // SLIPWAY_CUSTOM_OPS_SMOOTHED_SOFTMAX_XENT_KERNEL_H_
