// The C API of the TensorFlow that is in the process, found by name: the addon links with none.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

struct TF_Library;
struct TF_Status;
struct TF_Tensor;
struct TFE_Context;
struct TFE_ContextOptions;
struct TFE_Op;
struct TFE_TensorHandle;

// Every libtensorflow*.so* of the process, opened once more and globally; none if there is no TensorFlow yet.
const std::vector<void *> &tensorflowLibraries();

// Our op library, once it is loaded.
void *loadedOpLibrary();

template <typename Function>
Function *find(const std::vector<void *> &libraries, const char *name) {
  for (void *library : libraries)
    if (void *symbol = dlsym(library, name)) return reinterpret_cast<Function *>(symbol);
  return nullptr;
}

// The function of that name and type in our op library; null if there is none.
template <typename Function>
Function *inOpLibrary(const char *name) {
  void *library = loadedOpLibrary();
  return library ? find<Function>({library}, name) : nullptr;
}

// One function of the C API, looked for until it is found.
template <typename Function>
class Api;

template <typename Result, typename... Args>
class Api<Result(Args...)> {
 public:
  explicit Api(const char *name) : name_(name) {}
  bool present() { return pointer() != nullptr; }
  Result operator()(Args... args) { return pointer()(args...); }

 private:
  using Pointer = Result (*)(Args...);

  Pointer pointer() {
    if (!pointer_) pointer_ = find<Result(Args...)>(tensorflowLibraries(), name_);
    return pointer_;
  }

  const char *name_;
  std::atomic<Pointer> pointer_{nullptr};
};
