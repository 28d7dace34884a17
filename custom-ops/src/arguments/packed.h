// What TfjsMambaPackedMatVec and TfjsMambaUnpackRows are given: checked, and with space for what they give.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

constexpr int64_t kGroupOfPacked = 32;  // integers with one scale, in eight words

// Words and scales, which must be of the same rows.
inline void requireRows(const Shape &words, const Shape &scales) {
  Shape expected = scales;
  if (!expected.empty()) expected.back() *= kGroupOfPacked / 4;
  if (scales.empty() || sizeOf(scales) == 0 || words != expected)
    throw OpError("words must have eight columns for each one of scales, " + show(scales) + ", but has " + show(words));
}

class PackedMatVecOp {
 public:
  static constexpr const char *kName = "TfjsMambaPackedMatVec";

  explicit PackedMatVecOp(const Attributes &a) : hasBias_(a.integer("NB") == 1) {}

  PackedMatVec problem(Call &call) const {
    enum { kX, kWords, kScales, kBias };
    const Shape x = call.shape(kX), words = call.shape(kWords), scales = call.shape(kScales);
    requireRows(words, scales);
    if (scales.size() != 2) throw OpError("scales must have rank 2, but has shape " + show(scales));
    PackedMatVec p{};
    p.out = scales[0], p.in = kGroupOfPacked * scales[1];
    if (x.size() != 2 || x[0] == 0 || x[1] != p.in)
      throw OpError("x must have shape [rows," + std::to_string(p.in) + "], but has " + show(x));
    p.rows = x[0];
    if (hasBias_ && call.shape(kBias) != Shape{p.out})
      throw OpError("bias must have shape " + show({p.out}) + ", but has " + show(call.shape(kBias)));
    p.x = call.data(kX), p.words = call.data<int32_t>(kWords), p.scales = call.data(kScales);
    p.bias = hasBias_ ? call.data(kBias) : nullptr;
    p.y = call.output(0, {p.rows, p.out});
    return p;
  }

 private:
  bool hasBias_;
};

class UnpackRowsOp {
 public:
  static constexpr const char *kName = "TfjsMambaUnpackRows";

  explicit UnpackRowsOp(const Attributes &) {}

  UnpackRows problem(Call &call) const {
    Shape rows = call.shape(1);
    requireRows(call.shape(0), rows);
    UnpackRows p{sizeOf(rows), call.data<int32_t>(0), call.data(1), nullptr};
    rows.back() *= kGroupOfPacked;
    p.y = call.output(0, rows);
    return p;
  }
};

}  // namespace tfjs_mamba
