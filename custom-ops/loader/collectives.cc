#include "collectives.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kInt32 = 3;        // TF_INT32
constexpr int kUnavailable = 14;  // TF_UNAVAILABLE

Api<TF_Status *()> newStatus("TF_NewStatus");
Api<void(TF_Status *)> deleteStatus("TF_DeleteStatus");
Api<int(const TF_Status *)> statusCode("TF_GetCode");
Api<const char *(const TF_Status *)> statusMessage("TF_Message");
Api<void(TF_Status *, int, const char *)> setStatus("TF_SetStatus");
Api<TFE_ContextOptions *()> newContextOptions("TFE_NewContextOptions");
Api<void(TFE_ContextOptions *)> deleteContextOptions("TFE_DeleteContextOptions");
Api<void(TFE_ContextOptions *, const void *, size_t, TF_Status *)> setConfig("TFE_ContextOptionsSetConfig");
Api<TFE_Context *(const TFE_ContextOptions *, TF_Status *)> newContext("TFE_NewContext");
Api<void(TFE_Context *, const void *, size_t, TF_Status *)> enableCollectiveOps("TFE_EnableCollectiveOps");
Api<void(TFE_Context *, TF_Status *)> abortCollectiveOps("TFE_AbortCollectiveOps");
Api<void(TFE_Context *, const char *, int64_t, TF_Status *)> checkPeerHealth("TFE_CollectiveOpsCheckPeerHealth");
Api<TF_Tensor *(int, const int64_t *, int, size_t)> allocateTensor("TF_AllocateTensor");
Api<void *(const TF_Tensor *)> tensorData("TF_TensorData");
Api<void(TF_Tensor *)> deleteTensor("TF_DeleteTensor");
Api<TFE_TensorHandle *(const TF_Tensor *, TF_Status *)> newHandle("TFE_NewTensorHandle");
Api<void(TFE_TensorHandle *)> deleteHandle("TFE_DeleteTensorHandle");
Api<TF_Tensor *(TFE_TensorHandle *, TF_Status *)> resolve("TFE_TensorHandleResolve");
Api<TFE_Op *(TFE_Context *, const char *, TF_Status *)> newOp("TFE_NewOp");
Api<void(TFE_Op *)> deleteOp("TFE_DeleteOp");
Api<void(TFE_Op *, const char *, TF_Status *)> setDevice("TFE_OpSetDevice");
Api<void(TFE_Op *, TFE_TensorHandle *, TF_Status *)> addInput("TFE_OpAddInput");
Api<void(TFE_Op *, const char *, int)> setType("TFE_OpSetAttrType");
Api<void(TFE_Op *, const char *, int64_t)> setInt("TFE_OpSetAttrInt");
Api<void(TFE_Op *, const char *, const void *, size_t)> setString("TFE_OpSetAttrString");
Api<void(TFE_Op *, TFE_TensorHandle **, int *, TF_Status *)> executeOp("TFE_Execute");

class Status {
 public:
  Status() : status_(newStatus()) {}
  ~Status() { deleteStatus(status_); }
  operator TF_Status *() { return status_; }
  bool ok() { return statusCode(status_) == 0; }
  std::string message() { return ok() ? "" : statusMessage(status_); }

 private:
  TF_Status *status_;
};

// An op under construction, and what it holds until it has run.
class Op {
 public:
  Op(TFE_Context *context, const char *name) : op_(newOp(context, name, status_)) {}
  ~Op() {
    if (op_) deleteOp(op_);
  }

  void input(const TF_Tensor *tensor) {
    TFE_TensorHandle *handle = newHandle(tensor, status_);
    if (!handle) return;
    if (status_.ok()) addInput(op_, handle, status_);
    deleteHandle(handle);  // the op has one of its own
  }
  void input(const std::vector<int> &values, int rank) {
    const int64_t length = static_cast<int64_t>(values.size());
    TF_Tensor *tensor = allocateTensor(kInt32, &length, rank, values.size() * sizeof(int));
    if (!values.empty()) std::memcpy(tensorData(tensor), values.data(), values.size() * sizeof(int));
    input(tensor);
    deleteTensor(tensor);
  }
  void attr(const char *name, const std::string &value) { setString(op_, name, value.data(), value.size()); }
  void type(const char *name, int value) { setType(op_, name, value); }
  void count(const char *name, int value) { setInt(op_, name, value); }
  void device(const std::string &name) { setDevice(op_, name.c_str(), status_); }

  std::string run(int outputs, TF_Tensor **output) {
    if (!status_.ok()) return status_.message();
    TFE_TensorHandle *result = nullptr;
    executeOp(op_, &result, &outputs, status_);
    if (!status_.ok()) return status_.message();
    if (output && result) *output = resolve(result, status_);
    if (result) deleteHandle(result);
    return status_.message();
  }
  std::string error() { return status_.message(); }

 private:
  Status status_;
  TFE_Op *op_;
};

const char *opOf(const std::string &kind) {
  if (kind == "gather") return "CollectiveGatherV2";
  if (kind == "send") return "CollectiveBcastSendV2";
  if (kind == "receive") return "CollectiveBcastRecvV2";
  return "CollectiveReduceV2";
}

// "a has", "a, b have"
std::string sentence(const std::vector<std::string> &names) {
  std::string all;
  for (const std::string &name : names) all += (all.empty() ? "" : ", ") + name;
  return all + (names.size() > 1 ? " have" : " has");
}

// A message of TensorFlow without what it wraps around an error that has come from elsewhere.
std::string core(const std::string &error) {
  const std::string wrapper = "Collective ops is aborted by: ";
  const size_t last = error.rfind(wrapper, error.find('\n'));
  const size_t start = last == std::string::npos ? 0 : last + wrapper.size();
  return error.substr(start, error.find('\n') - start);
}

std::string seconds(std::chrono::duration<double> duration) {
  char text[16];
  std::snprintf(text, sizeof text, "%.3g", duration.count());
  return text;
}

}  // namespace

std::string Collectives::open(const ClusterOptions &options) {
  if (context_) return "this process has joined a cluster already";
  if (!newContext.present()) return "no TensorFlow is loaded in this process: install @tensorflow/tfjs-node";
  if (!enableCollectiveOps.present() || !checkPeerHealth.present() || !abortCollectiveOps.present())
    return "the TensorFlow of this process offers no collective ops";
  options_ = options;
  Status status;
  TFE_ContextOptions *contextOptions = newContextOptions();
  setConfig(contextOptions, options.config.data(), options.config.size(), status);
  if (status.ok()) context_ = newContext(contextOptions, status);
  deleteContextOptions(contextOptions);
  if (status.ok()) enableCollectiveOps(context_, options.serverDef.data(), options.serverDef.size(), status);
  if (!status.ok()) return failure_ = status.message();
  std::thread([this] { watch(); }).detach();  // for as long as the process: TensorFlow's servers cannot be shut down either
  return "";
}

std::string Collectives::run(const Collective &collective, TF_Tensor **output) {
  Input input(collective.input, [](TF_Tensor *tensor) {
    if (tensor) deleteTensor(tensor);
  });
  uint64_t call;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_.empty()) return "the cluster has failed: " + failure_;
    call = ++call_;
    running_[call] = Clock::now();
  }
  changed_.notify_all();
  const std::string error = execute(collective, std::move(input), output);
  const std::string reason = error.empty() ? "" : explain(error);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    running_.erase(call);
    joined_ = joined_ || error.empty();
    if (failure_.empty()) failure_ = reason;
  }
  changed_.notify_all();
  return reason;
}

std::string Collectives::execute(const Collective &collective, Input input, TF_Tensor **output) {
  const bool receives = collective.kind == "receive";
  const bool reduces = std::strcmp(opOf(collective.kind), "CollectiveReduceV2") == 0;
  Op op(context_, opOf(collective.kind));
  if (!op.error().empty()) return op.error();
  if (options_.communication == "nccl")
    op.device("/job:" + options_.job + "/replica:0/task:" + std::to_string(options_.rank) + "/device:GPU:0");
  if (!receives) op.input(input.get());
  input.reset();  // so that TensorFlow may reduce in place
  for (int value : {collective.size, collective.group, collective.key}) op.input({value}, 0);
  if (receives) {
    op.input(std::vector<int>(collective.shape.begin(), collective.shape.end()), 1);
    op.type("Tshape", kInt32);
  }
  op.type("T", collective.type);
  op.attr("communication_hint", options_.communication);
  // No timeout_seconds: for each call TensorFlow would start a thread that sleeps as long. watch() sees to both limits.
  if (reduces) {
    const std::string &kind = collective.kind;
    op.attr("merge_op", kind == "max" ? "Max" : kind == "min" ? "Min" : "Add");
    op.attr("final_op", kind == "mean" ? "Div" : "Id");
  }
  if (reduces || collective.kind == "gather") op.count("Nordering_token", 0);
  return op.run(1, output);
}

// TensorFlow's own message says what failed, not who: asks the peers.
std::string Collectives::explain(const std::string &error) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!verdict_.empty()) return verdict_;
  }
  const std::vector<std::string> silent = silentPeers([this](size_t rank) { return answers(rank, 1000); });
  return silent.empty() ? core(error) : sentence(silent) + " not answered (" + core(error) + ")";
}

bool Collectives::answers(size_t rank, int milliseconds) {
  if (static_cast<int>(rank) == options_.rank) return true;
  Status status;
  const std::string task = "/job:" + options_.job + "/replica:0/task:" + std::to_string(rank);
  checkPeerHealth(context_, task.c_str(), milliseconds, status);
  return status.ok();
}

template <typename Alive>
std::vector<std::string> Collectives::silentPeers(Alive alive) {
  std::vector<std::string> silent;
  for (size_t rank = 0; rank < options_.peers.size(); rank++)
    if (!alive(rank)) silent.push_back(options_.peers[rank]);
  return silent;
}

// While a collective takes long, asks the peers whether they are there, and ends it when one has been silent for the
// timeout, or when the patience is over. A peer that only takes its time may do so until then: its server answers for it,
// whatever its JavaScript does. Not asked before all have met: a channel that has failed once fails for seconds, and with
// it the collective, though the peer has come up meanwhile.
void Collectives::watch() {
  const auto timeout = std::chrono::duration<double>(options_.timeout);
  const auto patience = std::chrono::duration<double>(options_.patience);
  const auto pause = std::chrono::duration<double>(std::min({1.0, options_.timeout / 4, options_.patience / 4}));
  std::vector<Clock::time_point> heard(options_.peers.size());
  uint64_t watched = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  while (verdict_.empty()) {
    changed_.wait(lock, [this] { return !running_.empty(); });
    // The one that has been under way longest.
    const auto [call, start] = *running_.begin();
    if (watched != call) heard.assign(heard.size(), start);
    watched = call;
    const auto over = [this, id = call] { return running_.count(id) == 0; };
    if (changed_.wait_for(lock, pause, over)) continue;
    const bool late = Clock::now() - start > patience;
    if (!joined_ && !late) continue;
    lock.unlock();
    const std::vector<std::string> silent = silentPeers([&](size_t rank) {
      const bool here = answers(rank, static_cast<int>(pause.count() * 1000));
      if (here) heard[rank] = Clock::now();
      return here || (!late && Clock::now() - heard[rank] < timeout);
    });
    lock.lock();
    if (over() || (silent.empty() && !late)) continue;
    verdict_ = silent.empty() ? "all workers answer, but not all have made the same call, with the same shape and type, "
                                "within " + seconds(patience) + " s"
                              : sentence(silent) + " not answered for " + seconds(late ? pause : timeout) + " s";
    Status status;
    setStatus(status, kUnavailable, verdict_.c_str());
    abortCollectiveOps(context_, status);
  }
}
