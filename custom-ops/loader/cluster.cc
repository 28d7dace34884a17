// The collectives as functions of JavaScript that give promises:
//
//   openCluster({config, serverDef, job, peers, rank, timeout, patience, communication})
//       fields as ClusterOptions has them, the two messages as Uint8Array
//   collective(kind, group, size, key, shape, data)
//       group TensorFlow's key of the group, size how many ranks are in it;
//       data a Float32Array or Int32Array, for 'receive' an empty one; gives the values of the result, of the same type
//       or the number of a bundle (src/tf/bundle.h), which then holds the result; gives nothing
//
// A thread for each group works its calls off in the order in which they were made, which has to be the same on all its
// ranks. So a rank may ask for several at once and go on computing, and two of them do not wait for what others do.
#include "cluster.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "../src/tf/bundle.h"
#include "collectives.h"

namespace {

Api<TF_Tensor *(int, const int64_t *, int, size_t)> allocateTensor("TF_AllocateTensor");
Api<void *(const TF_Tensor *)> tensorData("TF_TensorData");
Api<size_t(const TF_Tensor *)> tensorBytes("TF_TensorByteSize");
Api<void(TF_Tensor *)> deleteTensor("TF_DeleteTensor");

struct Call {
  std::function<std::string(TF_Tensor **)> work;
  napi_typedarray_type type = napi_float32_array;
  napi_deferred deferred = nullptr;
  napi_threadsafe_function done = nullptr;
  TF_Tensor *output = nullptr;
  std::string error;
};

Collectives &collectives() {
  static auto *all = new Collectives();  // never destroyed: its threads live as long as the process
  return *all;
}

class Queue {
 public:
  void push(Call *call) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!started_) std::thread([this] { work(); }).detach();
    started_ = true;
    calls_.push_back(call);
    changed_.notify_one();
  }

 private:
  void work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return !calls_.empty(); });
      Call *call = calls_.front();
      calls_.pop_front();
      lock.unlock();
      call->error = call->work(&call->output);
      napi_threadsafe_function done = call->done;
      napi_call_threadsafe_function(done, call, napi_tsfn_blocking);
      napi_release_threadsafe_function(done, napi_tsfn_release);
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Call *> calls_;
  bool started_ = false;
};

// Of one group; asked for by the JavaScript thread alone.
Queue &queue(int group) {
  static auto *all = new std::map<int, Queue>();
  return (*all)[group];
}

// The memory of a result stays TensorFlow's until JavaScript drops the array.
napi_value values(napi_env env, Call &call) {
  napi_value buffer, array;
  if (!call.output) {
    napi_get_undefined(env, &array);
    return array;
  }
  const size_t bytes = tensorBytes(call.output);
  const auto release = [](napi_env, void *, void *tensor) { deleteTensor(static_cast<TF_Tensor *>(tensor)); };
  napi_create_external_arraybuffer(env, tensorData(call.output), bytes, release, call.output, &buffer);
  napi_create_typedarray(env, call.type, bytes / 4, buffer, 0, &array);
  return array;
}

void settle(napi_env env, napi_value, void *, void *data) {
  std::unique_ptr<Call> call(static_cast<Call *>(data));
  if (!env) {  // the environment is going down
    if (call->output) deleteTensor(call->output);
    return;
  }
  if (call->error.empty()) {
    napi_resolve_deferred(env, call->deferred, values(env, *call));
    return;
  }
  napi_value message, error;
  napi_create_string_utf8(env, call->error.c_str(), call->error.size(), &message);
  napi_create_error(env, nullptr, message, &error);
  napi_reject_deferred(env, call->deferred, error);
}

napi_value start(napi_env env, int group, std::unique_ptr<Call> call) {
  napi_value promise, name;
  napi_create_promise(env, &call->deferred, &promise);
  napi_create_string_utf8(env, "tfjs-mamba collective", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr, settle, &call->done);
  queue(group).push(call.release());
  return promise;
}

std::string text(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return "";
  std::string result(length, '\0');
  napi_get_value_string_utf8(env, value, &result[0], length + 1, &length);
  return result;
}

double number(napi_env env, napi_value value) {
  double result = 0;
  napi_get_value_double(env, value, &result);
  return result;
}

napi_value field(napi_env env, napi_value object, const char *name) {
  napi_value value = nullptr;
  napi_get_named_property(env, object, name, &value);
  return value;
}

template <typename Read>
auto list(napi_env env, napi_value array, Read read) {
  std::vector<decltype(read(env, array))> result;
  uint32_t length = 0;
  napi_get_array_length(env, array, &length);
  for (uint32_t i = 0; i < length; i++) {
    napi_value value;
    napi_get_element(env, array, i, &value);
    result.push_back(read(env, value));
  }
  return result;
}

// The memory of a typed array, until this returns to JavaScript.
struct Values {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void *data = nullptr;

  Values(napi_env env, napi_value array) { napi_get_typedarray_info(env, array, &type, &length, &data, nullptr, nullptr); }
};

bool message(napi_env env, napi_value array, std::string *out) {
  const Values values(env, array);
  if (values.length) out->assign(static_cast<char *>(values.data), values.length);
  return values.type == napi_uint8_array;
}

napi_value refuse(napi_env env, const char *message) {
  napi_throw_type_error(env, nullptr, message);
  return nullptr;
}

// Of kind, group, size, key and shape; of floats, without any.
Collective collectiveOf(napi_env env, const napi_value *given) {
  Collective collective;
  collective.kind = text(env, given[0]);
  collective.group = static_cast<int>(number(env, given[1]));
  collective.size = static_cast<int>(number(env, given[2]));
  collective.key = static_cast<int>(number(env, given[3]));
  collective.type = 1;  // TF_FLOAT
  for (double length : list(env, given[4], number)) collective.shape.push_back(static_cast<int64_t>(length));
  return collective;
}

napi_value startBundle(napi_env env, const napi_value *given, int bundle) {
  static const auto take = inOpLibrary<decltype(tfjs_mamba_bundle_take)>("tfjs_mamba_bundle_take");
  static const auto give = inOpLibrary<decltype(tfjs_mamba_bundle_give)>("tfjs_mamba_bundle_give");
  static const auto drop = inOpLibrary<decltype(tfjs_mamba_bundle_drop)>("tfjs_mamba_bundle_drop");
  Collective collective = collectiveOf(env, given);
  collective.input = take && give && drop ? take(bundle) : nullptr;
  if (!collective.input) return refuse(env, "tfjs-mamba: collective needs a bundle that is packed");
  auto call = std::make_unique<Call>();
  call->work = [collective, bundle](TF_Tensor **) {
    TF_Tensor *result = nullptr;
    const std::string error = collectives().run(collective, &result);
    if (error.empty()) give(bundle, result);
    else drop(bundle);
    return error;
  };
  return start(env, collective.group, std::move(call));
}

}  // namespace

napi_value jsOpenCluster(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value given = nullptr;
  napi_get_cb_info(env, info, &count, &given, nullptr, nullptr);
  ClusterOptions options;
  if (!message(env, field(env, given, "config"), &options.config) ||
      !message(env, field(env, given, "serverDef"), &options.serverDef))
    return refuse(env, "tfjs-mamba: openCluster needs config and serverDef as Uint8Array");
  options.job = text(env, field(env, given, "job"));
  options.peers = list(env, field(env, given, "peers"), text);
  options.rank = static_cast<int>(number(env, field(env, given, "rank")));
  options.timeout = number(env, field(env, given, "timeout"));
  options.patience = number(env, field(env, given, "patience"));
  options.communication = text(env, field(env, given, "communication"));
  auto call = std::make_unique<Call>();
  call->work = [options](TF_Tensor **) { return collectives().open(options); };
  return start(env, 0, std::move(call));
}

napi_value jsCollective(napi_env env, napi_callback_info info) {
  size_t count = 6;
  napi_value given[6] = {};
  napi_get_cb_info(env, info, &count, given, nullptr, nullptr);
  napi_valuetype kind;
  napi_typeof(env, given[5], &kind);
  if (kind == napi_number) return startBundle(env, given, static_cast<int>(number(env, given[5])));
  const Values values(env, given[5]);
  if (values.type != napi_float32_array && values.type != napi_int32_array)
    return refuse(env, "tfjs-mamba: collective needs kind, group, size, key, shape and a Float32Array, an Int32Array or a bundle");
  if (!allocateTensor.present()) return refuse(env, "tfjs-mamba: no TensorFlow is loaded in this process");
  Collective collective = collectiveOf(env, given);
  collective.type = values.type == napi_float32_array ? 1 : 3;  // TF_FLOAT, TF_INT32
  size_t size = 1;
  for (int64_t length : collective.shape) size *= static_cast<size_t>(length);
  if (collective.kind != "receive") {
    if (size != values.length) return refuse(env, "tfjs-mamba: collective needs as many values as the shape has");
    const int rank = static_cast<int>(collective.shape.size());
    collective.input = allocateTensor(collective.type, collective.shape.data(), rank, size * 4);
    std::memcpy(tensorData(collective.input), values.data, size * 4);
  }
  auto call = std::make_unique<Call>();
  call->type = values.type;
  call->work = [collective](TF_Tensor **output) { return collectives().run(collective, output); };
  return start(env, collective.group, std::move(call));
}
