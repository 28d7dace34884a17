#include "bundle.h"

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "../arguments/bundle.h"
#include "huge_pages.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

struct Delete {
  void operator()(TF_Tensor *tensor) const { TF_DeleteTensor(tensor); }
};
using Owned = std::unique_ptr<TF_Tensor, Delete>;

struct Bundle {
  std::vector<Shape> shapes;
  int64_t size = 0;
  Owned values;
};

// Those that are packed, by number. Never destroyed: a process may exit while a message is under way.
struct Packed {
  std::mutex mutex;
  std::map<int, Bundle> bundles;
};
Packed &packed() {
  static Packed *instance = new Packed;
  return *instance;
}

void pack(const BundleParts &parts) {
  Bundle bundle;
  for (const Shape &shape : parts.shapes) bundle.size += sizeOf(shape);
  const size_t bytes = sizeof(float) * bundle.size;
  bundle.values.reset(TF_AllocateTensor(TF_FLOAT, &bundle.size, 1, bytes));
  if (!bundle.values) throw std::bad_alloc();
  float *to = static_cast<float *>(TF_TensorData(bundle.values.get()));
  preferHugePages(to, bytes);
  for (size_t i = 0; i < parts.shapes.size(); ++i) {
    const int64_t size = sizeOf(parts.shapes[i]);
    for (int64_t k = 0; k < size; ++k) to[k] = parts.data[i][k] * parts.weight;
    to += size;
  }
  bundle.shapes = parts.shapes;
  std::lock_guard<std::mutex> lock(packed().mutex);
  int number = 0;  // the least that is free, which a float holds
  while (packed().bundles.count(number)) ++number;
  packed().bundles.emplace(number, std::move(bundle));
  *parts.handle = static_cast<float>(number);
}

Bundle remove(int number) {
  std::lock_guard<std::mutex> lock(packed().mutex);
  const auto found = packed().bundles.find(number);
  if (found == packed().bundles.end()) return {};
  Bundle bundle = std::move(found->second);
  packed().bundles.erase(found);
  return bundle;
}

// TensorFlow copies what does not begin where its kernels want it; the rest shares the memory, which stays until the last has gone.
void unpack(const UnpackedBundle &asked, CpuCall &call) {
  Bundle bundle = remove(asked.bundle);
  if (!bundle.values || static_cast<int64_t>(bundle.shapes.size()) != asked.count)
    throw OpError("there is no bundle " + std::to_string(asked.bundle) + " of " + std::to_string(asked.count) + " tensors with a result");
  const std::shared_ptr<TF_Tensor> values(bundle.values.release(), Delete());
  float *data = static_cast<float *>(TF_TensorData(values.get()));
  for (size_t i = 0; i < bundle.shapes.size(); ++i) {
    const Shape &shape = bundle.shapes[i];
    const auto release = [](void *, size_t, void *of) { delete static_cast<std::shared_ptr<TF_Tensor> *>(of); };
    const size_t bytes = sizeof(float) * sizeOf(shape);
    call.give(static_cast<int>(i), TF_NewTensor(TF_FLOAT, shape.data(), static_cast<int>(shape.size()), data, bytes, release,
                                                new std::shared_ptr<TF_Tensor>(values)));
    data += sizeOf(shape);
  }
}

}  // namespace

void registerBundleOps() {
  registerCpuOp<PackBundleOp, pack>({{"tensors: P * float", "weight: float"},
                                     {"bundle: float"},
                                     {"P: int >= 1"},
                                     TF_ShapeInferenceContextSetUnknownShape});
  registerCpuOp<UnpackBundleOp, unpack>({{"bundle: float"},
                                         {"tensors: P * float"},
                                         {"P: int >= 1"},
                                         TF_ShapeInferenceContextSetUnknownShape});
}

}  // namespace tfjs_mamba

#define EXPORTED extern "C" __attribute__((visibility("default")))
using namespace tfjs_mamba;

EXPORTED TF_Tensor *tfjs_mamba_bundle_take(int bundle) {
  std::lock_guard<std::mutex> lock(packed().mutex);
  const auto found = packed().bundles.find(bundle);
  return found == packed().bundles.end() ? nullptr : found->second.values.release();
}

EXPORTED void tfjs_mamba_bundle_give(int bundle, TF_Tensor *result) {
  Owned values(result);  // goes here if the bundle has gone
  std::lock_guard<std::mutex> lock(packed().mutex);
  const auto found = packed().bundles.find(bundle);
  if (found != packed().bundles.end()) found->second.values = std::move(values);
}

EXPORTED void tfjs_mamba_bundle_drop(int bundle) { remove(bundle); }
