#include "call.h"

namespace tfjs_mamba {

std::string show(const Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

int64_t sizeOf(const Shape &shape) {
  int64_t size = 1;
  for (int64_t dim : shape) size *= dim;
  return size;
}

NamedInputs::NamedInputs(Call &call, std::vector<const char *> names, int64_t present, int first, int count)
    : call_(call), names_(std::move(names)), position_(names_.size(), -1), shapes_(names_.size()) {
  int next = first;
  for (size_t i = 0; i < names_.size(); ++i)
    if (present >> i & 1) position_[i] = next++;
  if (present >> names_.size() != 0 || next != first + count)
    throw OpError("attribute present is " + std::to_string(present) + ", which does not fit " + std::to_string(count) +
                  " inputs");
  for (size_t i = 0; i < names_.size(); ++i)
    if (position_[i] >= 0) shapes_[i] = call.shape(position_[i]);
}

void NamedInputs::refuse(int input, const std::string &why) const {
  throw OpError(std::string(names_[input]) + " " + why);
}

void NamedInputs::require(int input) const {
  if (!has(input)) refuse(input, "is missing");
}

void NamedInputs::requireRank(int input, size_t rank) const {
  require(input);
  const Shape &given = shape(input);
  if (given.size() != rank)
    refuse(input, "must have rank " + std::to_string(rank) + ", but has shape " + show(given));
  if (sizeOf(given) == 0) refuse(input, "must not be empty, but has shape " + show(given));
}

void NamedInputs::requireShape(int input, const Shape &expected) const {
  if (has(input) && shape(input) != expected)
    refuse(input, "must have shape " + show(expected) + ", but has " + show(shape(input)));
}

const int32_t *sequenceIds(Call &call, int64_t count, const Shape &expected) {
  if (count == 0) return nullptr;
  const int last = call.inputs() - 1;
  if (call.shape(last) != expected)
    throw OpError("sequenceIds must have shape " + show(expected) + ", but has " + show(call.shape(last)));
  return call.data<int32_t>(last);
}

}  // namespace tfjs_mamba
