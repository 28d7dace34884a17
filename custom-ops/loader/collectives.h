// TensorFlow's collective ops between processes, in an eager context of their own.
//
// Not in tfjs-node's context, for three reasons: collectives can be switched on there only before its first op; any error
// of a collective makes every later op of its context fail; and a call there holds up the JavaScript thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tensorflow.h"

// What each rank of a group asks for in one collective. All of the group must ask for the same; `key` says that they do.
struct Collective {
  std::string kind;  // sum, mean, max, min, gather, send, receive
  int group = 1;     // TensorFlow's key of the group
  int size = 0;      // how many ranks are in it
  int key = 0;
  int type = 0;  // TF_DataType
  std::vector<int64_t> shape;
  TF_Tensor *input = nullptr;  // run() deletes it; none for receive
};

struct ClusterOptions {
  std::string config;     // ConfigProto of the context
  std::string serverDef;  // ServerDef of this process
  std::string job;
  std::vector<std::string> peers;  // by rank, as errors name them
  int rank = 0;
  double timeout = 0;   // seconds after which a peer that does not answer counts as dead
  double patience = 0;  // seconds that a peer which does answer may take to make the same call, and all to come up
  std::string communication;
};

class Collectives {
 public:
  // Each gives what went wrong, or nothing. Both block; open() comes first, and run() may be called by a thread for each
  // group.
  std::string open(const ClusterOptions &options);
  std::string run(const Collective &collective, TF_Tensor **output);

 private:
  using Input = std::unique_ptr<TF_Tensor, void (*)(TF_Tensor *)>;

  std::string execute(const Collective &collective, Input input, TF_Tensor **output);
  std::string explain(const std::string &error);
  void watch();
  bool answers(size_t rank, int milliseconds);
  template <typename Alive>
  std::vector<std::string> silentPeers(Alive alive);

  ClusterOptions options_;
  TFE_Context *context_ = nullptr;
  std::mutex mutex_;     // of all below, which the watching thread shares
  std::condition_variable changed_;
  std::string failure_;  // the first error; nothing works after it
  std::map<uint64_t, std::chrono::steady_clock::time_point> running_;  // calls under way, and when they began
  bool joined_ = false;  // all have met, in the first collective
  uint64_t call_ = 0;
  std::string verdict_;  // why watch() has ended the calls
};
