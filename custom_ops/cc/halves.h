// The types of 16 bits as they lie in memory; the arithmetic is in float.
#ifndef SLIPWAY_CUSTOM_OPS_CC_HALVES_H_
#define SLIPWAY_CUSTOM_OPS_CC_HALVES_H_

#include <cstdint>

namespace slipway {

// The upper half of a float.
struct Bfloat16 {
  uint16_t bits;
};

// Of IEEE 754.
struct Half {
  uint16_t bits;
};

}  // namespace slipway

#endif  // SLIPWAY_CUSTOM_OPS_CC_HALVES_H_
