// A Node addon that hands an op library to the TensorFlow that tfjs-node has brought into the process, something that
// tfjs-node's own binding has no call for.
//
// It links with no TensorFlow: it looks for the libraries that are already loaded, whatever their version and name, and
// makes their symbols visible to the op library, which names none it needs. So one build of both serves every 2.x.
//
//   load(path)                TF_LoadLibrary, first of all for the op library; a second call with the same path does nothing
//   info()                    {tensorflow, simd, threads}
//   nextTokens, decoderState, closeDecoder   see decoder.cc
//   openCluster, collective   see cluster.cc
#include <link.h>
#include <node_api.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cluster.h"
#include "decoder.h"
#include "tensorflow.h"

const std::vector<void *> &tensorflowLibraries() {
  static std::mutex mutex;
  static std::vector<void *> libraries;
  std::lock_guard<std::mutex> lock(mutex);
  if (!libraries.empty()) return libraries;
  std::vector<std::string> paths;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *out) {
        const char *name = std::strrchr(info->dlpi_name, '/');
        if (name && std::strncmp(name + 1, "libtensorflow", 13) == 0)
          static_cast<std::vector<std::string> *>(out)->push_back(info->dlpi_name);
        return 0;
      },
      &paths);
  for (const std::string &path : paths)
    if (void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL)) libraries.push_back(library);
  return libraries;
}

namespace {

std::mutex mutex;  // worker threads share the process's one library
std::vector<std::string> loaded;
std::atomic<void *> opLibrary{nullptr};  // the first that was loaded

// The path of another copy of this library in the process, or nothing. Two versions of the package may meet there;
// TensorFlow would register the kernels of both, and then refuse every call because two kernels fit it.
std::string findOtherCopy(const std::string &path) {
  if (void *same = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD)) {
    dlclose(same);
    return "";
  }
  std::pair<std::string, std::string> names{path.substr(path.rfind('/') + 1), ""};  // of the file; what was found
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *out) {
        auto &[file, found] = *static_cast<std::pair<std::string, std::string> *>(out);
        const char *name = std::strrchr(info->dlpi_name, '/');
        if (name && file == name + 1) found = info->dlpi_name;
        return 0;
      },
      &names);
  return names.second;
}

// Empty on success, else what went wrong.
std::string load(const std::string &path) {
  std::lock_guard<std::mutex> lock(mutex);
  if (std::find(loaded.begin(), loaded.end(), path) != loaded.end()) return "";
  const std::vector<void *> &tensorflow = tensorflowLibraries();
  const auto newStatus = find<TF_Status *()>(tensorflow, "TF_NewStatus");
  const auto deleteStatus = find<void(TF_Status *)>(tensorflow, "TF_DeleteStatus");
  const auto code = find<int(const TF_Status *)>(tensorflow, "TF_GetCode");
  const auto message = find<const char *(const TF_Status *)>(tensorflow, "TF_Message");
  const auto loadLibrary = find<TF_Library *(const char *, TF_Status *)>(tensorflow, "TF_LoadLibrary");
  const auto deleteHandle = find<void(TF_Library *)>(tensorflow, "TF_DeleteLibraryHandle");
  if (!newStatus || !deleteStatus || !code || !message || !loadLibrary || !deleteHandle)
    return "no TensorFlow is loaded in this process: import @tensorflow/tfjs-node first";
  const std::string other = findOtherCopy(path);
  if (!other.empty()) return "another copy of the op library is loaded already, " + other;
  TF_Status *status = newStatus();
  // The handle holds a list of the library's ops; the library stays when it goes.
  if (TF_Library *handle = loadLibrary(path.c_str(), status)) deleteHandle(handle);
  const std::string error = code(status) == 0 ? "" : message(status);
  deleteStatus(status);
  if (!error.empty()) return error;
  if (!opLibrary) opLibrary = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  loaded.push_back(path);
  return "";
}

napi_value throwError(napi_env env, const std::string &text) {
  napi_throw_error(env, nullptr, ("tfjs-mamba: " + text).c_str());
  return nullptr;
}

napi_value jsLoad(napi_env env, napi_callback_info info) {
  size_t count = 1, length = 0;
  napi_value value = nullptr;
  napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
  if (count < 1 || napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok)
    return throwError(env, "load needs the path of the op library");
  std::string path(length, '\0');
  napi_get_value_string_utf8(env, value, &path[0], length + 1, &length);
  const std::string error = load(path);
  return error.empty() ? nullptr : throwError(env, error);
}

napi_value jsInfo(napi_env env, napi_callback_info) {
  std::lock_guard<std::mutex> lock(mutex);
  if (!opLibrary) return throwError(env, "no op library is loaded");
  const auto version = find<const char *()>(tensorflowLibraries(), "TF_Version");
  const auto level = find<const char *()>({opLibrary.load()}, "tfjs_mamba_simd_level");
  const auto threads = find<int()>({opLibrary.load()}, "tfjs_mamba_thread_count");
  napi_value result, value;
  napi_create_object(env, &result);
  napi_create_string_utf8(env, version ? version() : "unknown", NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, result, "tensorflow", value);
  napi_create_string_utf8(env, level ? level() : "unknown", NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, result, "simd", value);
  napi_create_int32(env, threads ? threads() : 1, &value);
  napi_set_named_property(env, result, "threads", value);
  return result;
}

void define(napi_env env, napi_value exports, const char *name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace

void *loadedOpLibrary() { return opLibrary; }

NAPI_MODULE_INIT() {
  define(env, exports, "load", jsLoad);
  define(env, exports, "info", jsInfo);
  define(env, exports, "nextTokens", jsNextTokens);
  define(env, exports, "decoderState", jsDecoderState);
  define(env, exports, "closeDecoder", jsCloseDecoder);
  define(env, exports, "openCluster", jsOpenCluster);
  define(env, exports, "collective", jsCollective);
  return exports;
}
