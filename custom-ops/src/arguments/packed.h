// What TfjsMambaPackedMatVec and TfjsMambaUnpackRows are given: checked, and with space for what they give.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

// The shape that packed rows stand for: with scales integers of 8 bits, else bfloat16.
inline Shape shapeOfRows(const Shape &words, const Shape *scales) {
  Shape rows = scales ? *scales : words;
  if (!rows.empty()) rows.back() *= scales ? kGroupOfPacked : 2;
  Shape expected = rows;
  if (!expected.empty()) expected.back() /= scales ? 4 : 2;
  if (rows.empty() || sizeOf(rows) == 0 || words != expected)
    throw OpError(scales ? "words must have eight columns for each one of scales, " + show(*scales) + ", but has " + show(words)
                         : "words must not be empty, but has shape " + show(words));
  return rows;
}

class PackedMatVecOp {
 public:
  static constexpr const char *kName = "TfjsMambaPackedMatVec";

  explicit PackedMatVecOp(const Attributes &a) : hasScales_(a.integer("NS") == 1), hasBias_(a.integer("NB") == 1) {}

  PackedMatVec problem(Call &call) const {
    enum { kX, kWords, kScales };
    const int bias = hasScales_ ? kScales + 1 : kScales;
    const Shape x = call.shape(kX), scales = hasScales_ ? call.shape(kScales) : Shape{};
    const Shape rows = shapeOfRows(call.shape(kWords), hasScales_ ? &scales : nullptr);
    if (rows.size() != 2)
      throw OpError((hasScales_ ? "scales" : "words") + std::string(" must have rank 2, but has shape ") +
                    show(hasScales_ ? scales : call.shape(kWords)));
    PackedMatVec p{};
    p.out = rows[0], p.in = rows[1];
    if (x.size() != 2 || x[0] == 0 || x[1] != p.in)
      throw OpError("x must have shape [rows," + std::to_string(p.in) + "], but has " + show(x));
    p.rows = x[0];
    if (hasBias_ && call.shape(bias) != Shape{p.out})
      throw OpError("bias must have shape " + show({p.out}) + ", but has " + show(call.shape(bias)));
    p.x = call.data(kX), p.words = call.data<int32_t>(kWords), p.scales = hasScales_ ? call.data(kScales) : nullptr;
    p.bias = hasBias_ ? call.data(bias) : nullptr;
    p.y = call.output(0, {p.rows, p.out});
    return p;
  }

 private:
  bool hasScales_, hasBias_;
};

class UnpackRowsOp {
 public:
  static constexpr const char *kName = "TfjsMambaUnpackRows";

  explicit UnpackRowsOp(const Attributes &a) : hasScales_(a.integer("NS") == 1) {}

  UnpackRows problem(Call &call) const {
    const Shape scales = hasScales_ ? call.shape(1) : Shape{};
    const Shape rows = shapeOfRows(call.shape(0), hasScales_ ? &scales : nullptr);
    UnpackRows p{sizeOf(rows), call.data<int32_t>(0), hasScales_ ? call.data(1) : nullptr, nullptr};
    p.y = call.output(0, rows);
    return p;
  }

 private:
  bool hasScales_;
};

}  // namespace tfjs_mamba
