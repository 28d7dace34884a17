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

NamedInputs::NamedInputs(Call &call, std::vector<const char *> names, int64_t present, int first, int count,
                         int64_t packed, int firstWord)
    : call_(call), names_(std::move(names)), position_(names_.size(), -1), words_(names_.size(), -1), shapes_(names_.size()) {
  int next = first;
  for (size_t i = 0; i < names_.size(); ++i)
    if (present >> i & 1) position_[i] = next++;
  if (present >> names_.size() != 0 || next != first + count)
    throw OpError("attribute present is " + std::to_string(present) + ", which does not fit " + std::to_string(count) +
                  " inputs");
  for (size_t i = 0; i < names_.size(); ++i) {
    if (position_[i] >= 0) shapes_[i] = call.shape(position_[i]);
    if (packed >> i & 1) words_[i] = firstWord++;
  }
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

Matrix NamedInputs::matrix(int input, int64_t in, int64_t out, bool isTable) const {
  if (!isPacked(input)) {
    require(input);
    requireShape(input, isTable ? Shape{out, in} : Shape{in, out});
    return {data(input), nullptr, nullptr};
  }
  const bool hasScales = has(input);
  const int64_t perWord = hasScales ? 4 : 2, least = hasScales ? kGroupOfPacked : 2;
  if (in % least != 0) refuse(input, "has rows of " + std::to_string(in) + ", which " + std::to_string(least) + " does not divide");
  requireShape(input, {out, in / kGroupOfPacked});
  const Shape words = call_.shape(words_[input]), expected{out, in / perWord};
  if (words != expected) refuse(input, "must have words of shape " + show(expected) + ", but has " + show(words));
  return {nullptr, call_.data<int32_t>(words_[input]), data(input)};
}

Shape NamedInputs::sizesOf(int input, bool isTable) const {
  Shape given = isPacked(input) ? call_.shape(words_[input]) : shape(input);
  if (!isPacked(input)) requireRank(input, 2);
  if (given.size() != 2 || sizeOf(given) == 0) refuse(input, "must have words of rank 2, but they have shape " + show(given));
  if (isPacked(input)) given[1] *= has(input) ? 4 : 2;
  return isPacked(input) || isTable ? Shape{given[1], given[0]} : given;
}

const int32_t *sequenceIds(Call &call, int64_t count, const Shape &expected) {
  if (count == 0) return nullptr;
  const int last = call.inputs() - 1;
  if (call.shape(last) != expected)
    throw OpError("sequenceIds must have shape " + show(expected) + ", but has " + show(call.shape(last)));
  return call.data<int32_t>(last);
}

}  // namespace tfjs_mamba
