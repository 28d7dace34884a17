// What TfjsMambaDraw is given, checked. All of it comes in tensors, for TensorFlow keeps a kernel for every
// set of attribute values it has seen.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

struct DrawShape : Draw {
  Shape shape;
};

class DrawOp {
 public:
  static constexpr const char *kName = "TfjsMambaDraw";

  explicit DrawOp(const Attributes &) {}

  // spread: low and scale of evenly spread numbers, or the cubics of a normal distribution.
  DrawShape problem(Call &call) const {
    enum { kState, kSpread, kShape };
    constexpr int64_t kTable = 4 * kCubics;
    const Shape spread = call.shape(kSpread), rank = call.shape(kShape);
    if (call.shape(kState) != Shape{16}) throw OpError("state must have shape [16], but has " + show(call.shape(kState)));
    if (spread != Shape{2} && spread != Shape{kTable})
      throw OpError("spread must have shape [2] or " + show({kTable}) + ", but has " + show(spread));
    if (rank.size() != 1) throw OpError("shape must have rank 1, but has shape " + show(rank));
    const int32_t *dims = call.data<int32_t>(kShape);
    DrawShape p{};
    p.shape.assign(dims, dims + rank[0]);
    for (int64_t dim : p.shape)
      if (dim < 0) throw OpError("shape must not be negative, but is " + show(p.shape));
    p.size = sizeOf(p.shape);
    for (int i = 0; i < 16; ++i) p.state[i] = static_cast<uint32_t>(call.data<int32_t>(kState)[i]);
    const float *numbers = call.data(kSpread);
    if (spread[0] == 2)
      p.low = numbers[0], p.scale = numbers[1];
    else
      p.table = numbers;
    return p;
  }
};

}  // namespace tfjs_mamba
