#include "op.h"

#include <cstdio>
#include <new>

#include "huge_pages.h"

namespace tfjs_mamba {

int64_t CpuAttributes::integer(const char *name) const {
  Status status;
  int64_t value = 0;
  TF_OpKernelConstruction_GetAttrInt64(construction_, name, &value, status);
  status.check();
  return value;
}

float CpuAttributes::number(const char *name) const {
  Status status;
  float value = 0;
  TF_OpKernelConstruction_GetAttrFloat(construction_, name, &value, status);
  status.check();
  return value;
}

bool CpuAttributes::flag(const char *name) const {
  Status status;
  unsigned char value = 0;
  TF_OpKernelConstruction_GetAttrBool(construction_, name, &value, status);
  status.check();
  return value != 0;
}

CpuCall::~CpuCall() {
  for (TF_Tensor *tensor : tensors_)
    if (tensor) TF_DeleteTensor(tensor);
  for (TF_Tensor *tensor : outputs_)
    if (tensor) TF_DeleteTensor(tensor);
}

TF_Tensor *CpuCall::tensor(int input) {
  if (!tensors_[input]) {
    Status status;
    TF_GetInput(context_, input, &tensors_[input], status);
    status.check();
  }
  return tensors_[input];
}

std::vector<TF_Tensor *> CpuCall::takeInputs() {
  std::vector<TF_Tensor *> taken(tensors_.size());
  taken.swap(tensors_);
  return taken;
}

void CpuCall::give(int index, TF_Tensor *tensor) {
  outputs_.push_back(tensor);
  Status status;
  TF_SetOutput(context_, index, tensor, status);
  status.check();
}

Shape CpuCall::shape(int input) {
  TF_Tensor *t = tensor(input);
  Shape shape(TF_NumDims(t));
  for (size_t i = 0; i < shape.size(); ++i) shape[i] = TF_Dim(t, static_cast<int>(i));
  return shape;
}

const void *CpuCall::bytes(int input) { return TF_TensorData(tensor(input)); }

float *CpuCall::output(int index, const Shape &shape) {
  float *data = plainOutput(index, shape);
  preferHugePages(data, sizeof(float) * sizeOf(shape));
  return data;
}

float *CpuCall::plainOutput(int index, const Shape &shape) {
  const size_t bytes = sizeof(float) * sizeOf(shape);
  Status status;
  outputs_.push_back(nullptr);  // first, for it may throw
  TF_Tensor *tensor = TF_AllocateOutput(context_, index, TF_FLOAT, shape.data(), static_cast<int>(shape.size()), bytes,
                                        status);
  status.check();
  outputs_.back() = tensor;
  return static_cast<float *>(TF_TensorData(tensor));
}

void setStatus(Status &status, const char *op, const std::exception &error) {
  TF_Code code = TF_INTERNAL;
  const char *message = error.what();
  if (dynamic_cast<const OpError *>(&error)) code = TF_INVALID_ARGUMENT;
  if (const auto *from = dynamic_cast<const StatusError *>(&error)) code = from->code;
  if (dynamic_cast<const std::bad_alloc *>(&error)) code = TF_RESOURCE_EXHAUSTED, message = "out of memory";
  TF_SetStatus(status, code, (std::string(op) + ": " + message).c_str());
}

void setSameShape(TF_ShapeInferenceContext *context, int output, int input, TF_Status *status) {
  TF_ShapeHandle *handle = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, input, handle, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSetOutput(context, output, handle, status);
  TF_DeleteShapeHandle(handle);
}

void registerDefinition(const char *name, const OpSpec &spec) {
  TF_OpDefinitionBuilder *builder = TF_NewOpDefinitionBuilder(name);
  for (const char *attribute : spec.attributes) TF_OpDefinitionBuilderAddAttr(builder, attribute);
  for (const char *input : spec.inputs) TF_OpDefinitionBuilderAddInput(builder, input);
  for (const char *output : spec.outputs) TF_OpDefinitionBuilderAddOutput(builder, output);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, spec.shapes);
  Status status;
  TF_RegisterOpDefinition(builder, status);
  if (TF_GetCode(status) != TF_OK) std::fprintf(stderr, "tfjs-mamba: op %s: %s\n", name, TF_Message(status));
}

void registerKernel(const char *name, void *(*create)(TF_OpKernelConstruction *),
                    void (*compute)(void *, TF_OpKernelContext *), void (*remove)(void *)) {
  Status status;
  TF_RegisterKernelBuilder(name, TF_NewKernelBuilder(name, "CPU", create, compute, remove), status);
  if (TF_GetCode(status) != TF_OK) std::fprintf(stderr, "tfjs-mamba: kernel %s: %s\n", name, TF_Message(status));
}

}  // namespace tfjs_mamba
