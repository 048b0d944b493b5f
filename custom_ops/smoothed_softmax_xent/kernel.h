// The arithmetic of SmoothedSoftmaxXent on one row. Knows nothing of TensorFlow, so it can be compiled with any flags.
#ifndef SLIPWAY_CUSTOM_OPS_SMOOTHED_SOFTMAX_XENT_KERNEL_H_
#define SLIPWAY_CUSTOM_OPS_SMOOTHED_SOFTMAX_XENT_KERNEL_H_

#include <cstdint>

#include "custom_ops/cc/isa.h"

namespace slipway {

struct SmoothedSoftmaxXentKernels {
  // Returns the cross-entropy between softmax(logits) and the one-hot `label` smoothed by `smoothing`, and writes its
  // derivative with respect to logits into `gradient`. Both arrays hold `classes` floats and must not overlap;
  // 0 <= label < classes.
  float (*row)(const float* logits, int64_t classes, int64_t label, float smoothing, float* gradient);
};
SLIPWAY_DECLARE_KERNELS(SmoothedSoftmaxXentKernels, SmoothedSoftmaxXent)

}  // namespace slipway

#endif  // SLIPWAY_CUSTOM_OPS_SMOOTHED_SOFTMAX_XENT_KERNEL_H_
