// What TfjsMambaCrossEntropy and TfjsMambaCrossEntropyGrad are given: checked, and with space for what they give.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

// What both passes read.
class EntropyOp {
 public:
  enum { kLogits, kLabels, kLogSumExp, kDy };

 protected:
  explicit EntropyOp(const Attributes &a) : ignore_(static_cast<int32_t>(a.integer("ignore_index"))) {}

  template <typename Problem>
  Problem read(Call &call) const {
    const Shape logits = call.shape(kLogits), labels = call.shape(kLabels);
    if (logits.size() != 2 || logits[1] == 0 || labels != Shape{logits[0]})
      throw OpError("logits must have shape [rows,classes] and labels [rows], but have " + show(logits) + " and " +
                    show(labels));
    Problem p{};
    p.rows = logits[0], p.classes = logits[1], p.ignore = ignore_;
    p.logits = call.data(kLogits), p.labels = call.data<int32_t>(kLabels);
    // Elsewhere, the row of a label out of range does not count.
    if (call.valuesAtHand())
      for (int64_t i = 0; i < p.rows; ++i)
        if (p.labels[i] != p.ignore && (p.labels[i] < 0 || p.labels[i] >= p.classes))
          throw OpError("labels must lie in [0," + std::to_string(p.classes) + ") or be " + std::to_string(p.ignore) +
                        ", but labels[" + std::to_string(i) + "] is " + std::to_string(p.labels[i]));
    return p;
  }

 private:
  int32_t ignore_;
};

class CrossEntropyOp : EntropyOp {
 public:
  static constexpr const char *kName = "TfjsMambaCrossEntropy";

  explicit CrossEntropyOp(const Attributes &a) : EntropyOp(a) {}

  EntropyForward problem(Call &call) const {
    EntropyForward p = read<EntropyForward>(call);
    p.loss = call.output(0, {});
    p.logSumExp = call.output(1, {p.rows});
    return p;
  }
};

class CrossEntropyGradOp : EntropyOp {
 public:
  static constexpr const char *kName = "TfjsMambaCrossEntropyGrad";

  explicit CrossEntropyGradOp(const Attributes &a) : EntropyOp(a) {}

  EntropyBackward problem(Call &call) const {
    EntropyBackward p = read<EntropyBackward>(call);
    if (call.shape(kLogSumExp) != Shape{p.rows} || !call.shape(kDy).empty())
      throw OpError("logSumExp must have the shape of labels and dy be a scalar");
    p.logSumExp = call.data(kLogSumExp), p.dLoss = call.data(kDy);
    p.dLogits = call.output(0, {p.rows, p.classes});
    return p;
  }
};

}  // namespace tfjs_mamba
