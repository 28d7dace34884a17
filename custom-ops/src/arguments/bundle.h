// What TfjsMambaPackBundle and TfjsMambaUnpackBundle are given: see src/tf/bundle.h.
#pragma once

#include "call.h"

namespace tfjs_mamba {

// Tensors to be multiplied by a number and packed, and where the number of the bundle goes.
struct BundleParts {
  std::vector<Shape> shapes;
  std::vector<const float *> data;
  float weight;
  float *handle;
};

struct UnpackedBundle {
  int bundle;
  int64_t count;  // of tensors in it
};

class PackBundleOp {
 public:
  static constexpr const char *kName = "TfjsMambaPackBundle";

  explicit PackBundleOp(const Attributes &a) : count_(static_cast<int>(a.integer("P"))) {}

  BundleParts problem(Call &call) const {
    if (!call.shape(count_).empty()) throw OpError("weight must be a scalar, but has shape " + show(call.shape(count_)));
    BundleParts parts{};
    for (int i = 0; i < count_; ++i) {
      parts.shapes.push_back(call.shape(i));
      parts.data.push_back(call.data(i));
    }
    parts.weight = *call.data(count_), parts.handle = call.output(0, {});
    return parts;
  }

 private:
  int count_;
};

class UnpackBundleOp {
 public:
  static constexpr const char *kName = "TfjsMambaUnpackBundle";

  explicit UnpackBundleOp(const Attributes &a) : count_(a.integer("P")) {}

  UnpackedBundle problem(Call &call) const {
    if (!call.shape(0).empty()) throw OpError("bundle must be a scalar, but has shape " + show(call.shape(0)));
    return {static_cast<int>(*call.data(0)), count_};
  }

 private:
  int64_t count_;
};

}  // namespace tfjs_mamba
