#include "op.h"

#include "huge_pages.h"

namespace tfjs_mamba {

std::string show(const Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

int64_t Attributes::integer(const char *name) {
  Status status;
  int64_t value = 0;
  TF_OpKernelConstruction_GetAttrInt64(construction_, name, &value, status);
  status.check();
  return value;
}

float Attributes::number(const char *name) {
  Status status;
  float value = 0;
  TF_OpKernelConstruction_GetAttrFloat(construction_, name, &value, status);
  status.check();
  return value;
}

bool Attributes::flag(const char *name) {
  Status status;
  unsigned char value = 0;
  TF_OpKernelConstruction_GetAttrBool(construction_, name, &value, status);
  status.check();
  return value != 0;
}

Call::~Call() {
  for (TF_Tensor *tensor : tensors_)
    if (tensor) TF_DeleteTensor(tensor);
  for (TF_Tensor *tensor : outputs_) TF_DeleteTensor(tensor);
}

TF_Tensor *Call::tensor(int input) {
  if (tensors_.empty()) tensors_.resize(inputs(), nullptr);
  if (!tensors_[input]) {
    Status status;
    TF_GetInput(context_, input, &tensors_[input], status);
    status.check();
  }
  return tensors_[input];
}

Shape Call::shape(int input) {
  TF_Tensor *t = tensor(input);
  Shape shape(TF_NumDims(t));
  for (size_t i = 0; i < shape.size(); ++i) shape[i] = TF_Dim(t, static_cast<int>(i));
  return shape;
}

float *Call::output(int index, const Shape &shape) {
  size_t bytes = sizeof(float);
  for (int64_t dim : shape) bytes *= dim;
  Status status;
  TF_Tensor *tensor = TF_AllocateOutput(context_, index, TF_FLOAT, shape.data(), static_cast<int>(shape.size()), bytes,
                                        status);
  status.check();
  outputs_.push_back(tensor);
  float *data = static_cast<float *>(TF_TensorData(tensor));
  preferHugePages(data, bytes);
  return data;
}

NamedInputs::NamedInputs(Call &call, const char *op, std::initializer_list<const char *> names, int64_t present,
                         int first, int count)
    : call_(call), op_(op), names_(names), position_(names.size(), -1), shapes_(names.size()) {
  for (size_t i = 0; i < names_.size(); ++i)
    if (present >> i & 1) position_[i] = first + count_++;
  if (present >> names_.size() != 0 || count_ != count)
    throw OpError("%s: attribute present is %lld, which does not fit %d inputs", op_, static_cast<long long>(present),
                  count);
  for (size_t i = 0; i < names_.size(); ++i)
    if (position_[i] >= 0) shapes_[i] = call.shape(position_[i]);
}

const float *NamedInputs::weight(int input) {
  const float *values = data(input);
  size_t bytes = sizeof(float);
  for (int64_t dim : shape(input)) bytes *= dim;
  moveToHugePages(values, bytes);
  return values;
}

void NamedInputs::require(int input) const {
  if (!has(input)) throw OpError("%s: %s is missing", op_, names_[input]);
}

void NamedInputs::requireRank(int input, size_t rank) const {
  require(input);
  if (shape(input).size() != rank)
    throw OpError("%s: %s must have rank %zu, but has shape %s", op_, names_[input], rank, show(shape(input)).c_str());
  for (int64_t dim : shape(input))
    if (dim == 0)
      throw OpError("%s: %s must not be empty, but has shape %s", op_, names_[input], show(shape(input)).c_str());
}

void NamedInputs::requireShape(int input, const Shape &expected) const {
  if (has(input) && shape(input) != expected)
    throw OpError("%s: %s must have shape %s, but has %s", op_, names_[input], show(expected).c_str(),
                  show(shape(input)).c_str());
}

void setSameShape(TF_ShapeInferenceContext *context, int output, int input, TF_Status *status) {
  TF_ShapeHandle *handle = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, input, handle, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSetOutput(context, output, handle, status);
  TF_DeleteShapeHandle(handle);
}

void registerDefinition(const OpSpec &spec) {
  TF_OpDefinitionBuilder *builder = TF_NewOpDefinitionBuilder(spec.name);
  for (const char *attribute : spec.attributes) TF_OpDefinitionBuilderAddAttr(builder, attribute);
  for (const char *input : spec.inputs) TF_OpDefinitionBuilderAddInput(builder, input);
  for (const char *output : spec.outputs) TF_OpDefinitionBuilderAddOutput(builder, output);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, spec.shapes);
  Status status;
  TF_RegisterOpDefinition(builder, status);
  if (TF_GetCode(status) != TF_OK) std::fprintf(stderr, "tfjs-mamba: op %s: %s\n", spec.name, TF_Message(status));
}

void registerKernel(const char *name, void *(*create)(TF_OpKernelConstruction *),
                    void (*compute)(void *, TF_OpKernelContext *), void (*remove)(void *)) {
  Status status;
  TF_RegisterKernelBuilder(name, TF_NewKernelBuilder(name, "CPU", create, compute, remove), status);
  if (TF_GetCode(status) != TF_OK) std::fprintf(stderr, "tfjs-mamba: kernel %s: %s\n", name, TF_Message(status));
}

}  // namespace tfjs_mamba
