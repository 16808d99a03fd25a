#include "CLibTorch.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The version this file was written for. The library adapts arguments of older callers where a schema has changed since.
static const uint64_t written_for = (2ULL << 56) | (10ULL << 48);

static void *library = NULL;

// Required functions: name in the library, result, parameters.
#define REQUIRED(X)                                                                                                          \
    X(aoti_torch_abi_version, uint64_t, (void))                                                                              \
    X(torch_call_dispatcher, int32_t, (const char *, const char *, uint64_t *, uint64_t))                                    \
    X(aoti_torch_new_tensor_handle, int32_t, (void *, void **))                                                              \
    X(aoti_torch_delete_tensor_object, int32_t, (void *))                                                                    \
    X(aoti_torch_get_dim, int32_t, (void *, int64_t *))                                                                      \
    X(aoti_torch_get_sizes, int32_t, (void *, int64_t **))                                                                   \
    X(aoti_torch_get_strides, int32_t, (void *, int64_t **))                                                                 \
    X(aoti_torch_get_numel, int32_t, (void *, int64_t *))                                                                    \
    X(aoti_torch_get_dtype, int32_t, (void *, int32_t *))                                                                    \
    X(aoti_torch_get_device_type, int32_t, (void *, int32_t *))                                                              \
    X(aoti_torch_get_device_index, int32_t, (void *, int32_t *))                                                             \
    X(aoti_torch_get_data_ptr, int32_t, (void *, void **))                                                                   \
    X(aoti_torch_empty_strided, int32_t,                                                                                     \
      (int64_t, const int64_t *, const int64_t *, int32_t, int32_t, int32_t, void **))                                       \
    X(aoti_torch_scalar_to_tensor_float64, int32_t, (double, void **))                                                       \
    X(aoti_torch_copy_, int32_t, (void *, void *, int32_t))                                                                  \
    X(aoti_torch_aten_subtract_Tensor, int32_t, (void *, void *, double, void **))                                           \
    X(torch_new_list_reserve_size, int32_t, (size_t, void **))                                                               \
    X(torch_list_push_back, int32_t, (void *, uint64_t))                                                                     \
    X(torch_list_size, int32_t, (void *, size_t *))                                                                          \
    X(torch_list_get_item, int32_t, (void *, size_t, uint64_t *))                                                            \
    X(torch_delete_list, int32_t, (void *))                                                                                  \
    X(torch_new_string_handle, int32_t, (const char *, size_t, void **))                                                     \
    X(aoti_torch_layout_strided, int32_t, (void))                                                                            \
    X(torch_get_num_threads, int32_t, (uint32_t *))

// Functions of later versions, with a way around where they are missing.
#define OPTIONAL(X)                                                                                                          \
    X(torch_exception_get_what_without_backtrace, const char *, (void))                                                      \
    X(torch_new_stable_ivalue, int32_t, (uint64_t **))                                                                       \
    X(torch_from_blob, int32_t,                                                                                              \
      (void *, int64_t, const int64_t *, const int64_t *, int64_t, int32_t, int32_t, int32_t, void **, int32_t,              \
       const uint8_t *, int64_t, clibtorch_deleter, void *))

#define DECLARE(name, result, parameters) static result(*p_##name) parameters = NULL;
REQUIRED(DECLARE)
OPTIONAL(DECLARE)

static char *copy_string(const char *text) {
    size_t length = strlen(text) + 1;
    char *copy = malloc(length);
    if (copy) memcpy(copy, text, length);
    return copy;
}

clibtorch_load_status clibtorch_load(const char *path, char **message) {
    if (library) return CLIBTORCH_OK;
    // RTLD_GLOBAL: libtorch_cuda.so, opened later, resolves against this one.
    void *opened = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!opened) {
        const char *reason = dlerror();
        *message = copy_string(reason ? reason : "the dynamic linker gave no reason");
        return CLIBTORCH_NOT_LOADED;
    }
#define LOOKUP_REQUIRED(name, result, parameters)                                                                            \
    p_##name = (result(*) parameters)dlsym(opened, #name);                                                                   \
    if (!p_##name) {                                                                                                         \
        *message = copy_string(#name);                                                                                       \
        return CLIBTORCH_TOO_OLD;                                                                                            \
    }
    REQUIRED(LOOKUP_REQUIRED)
#define LOOKUP_OPTIONAL(name, result, parameters) p_##name = (result(*) parameters)dlsym(opened, #name);
    OPTIONAL(LOOKUP_OPTIONAL)
    library = opened;
    return CLIBTORCH_OK;
}

int clibtorch_load_extension(const char *path, char **message) {
    if (dlopen(path, RTLD_NOW | RTLD_GLOBAL)) return 0;
    const char *reason = dlerror();
    *message = copy_string(reason ? reason : "the dynamic linker gave no reason");
    return -1;
}

uint64_t clibtorch_version(void) { return p_aoti_torch_abi_version(); }

int32_t clibtorch_call(const char *name, const char *overload, clibtorch_value *stack) {
    return p_torch_call_dispatcher(name, overload, stack, written_for);
}

const char *clibtorch_last_error(void) {
    return p_torch_exception_get_what_without_backtrace ? p_torch_exception_get_what_without_backtrace() : NULL;
}

int32_t clibtorch_tensor_retain(clibtorch_tensor t, clibtorch_tensor *r) { return p_aoti_torch_new_tensor_handle(t, r); }
void clibtorch_tensor_release(clibtorch_tensor t) { p_aoti_torch_delete_tensor_object(t); }
int32_t clibtorch_tensor_dim(clibtorch_tensor t, int64_t *r) { return p_aoti_torch_get_dim(t, r); }
int32_t clibtorch_tensor_sizes(clibtorch_tensor t, int64_t **r) { return p_aoti_torch_get_sizes(t, r); }
int32_t clibtorch_tensor_strides(clibtorch_tensor t, int64_t **r) { return p_aoti_torch_get_strides(t, r); }
int32_t clibtorch_tensor_numel(clibtorch_tensor t, int64_t *r) { return p_aoti_torch_get_numel(t, r); }
int32_t clibtorch_tensor_dtype(clibtorch_tensor t, int32_t *r) { return p_aoti_torch_get_dtype(t, r); }

int32_t clibtorch_tensor_device(clibtorch_tensor t, int32_t *type, int32_t *index) {
    int32_t status = p_aoti_torch_get_device_type(t, type);
    return status ? status : p_aoti_torch_get_device_index(t, index);
}

int32_t clibtorch_tensor_data(clibtorch_tensor t, void **r) { return p_aoti_torch_get_data_ptr(t, r); }

int32_t clibtorch_tensor_empty(int64_t dim, const int64_t *sizes, const int64_t *strides, int32_t dtype, int32_t device_type,
                               int32_t device_index, clibtorch_tensor *r) {
    return p_aoti_torch_empty_strided(dim, sizes, strides, dtype, device_type, device_index, r);
}

int32_t clibtorch_tensor_scalar(double value, clibtorch_tensor *r) { return p_aoti_torch_scalar_to_tensor_float64(value, r); }

int32_t clibtorch_tensor_copy(clibtorch_tensor destination, clibtorch_tensor source, bool non_blocking) {
    return p_aoti_torch_copy_(destination, source, non_blocking ? 1 : 0);
}

int32_t clibtorch_tensor_subtract(clibtorch_tensor a, clibtorch_tensor b, double alpha, clibtorch_tensor *r) {
    return p_aoti_torch_aten_subtract_Tensor(a, b, alpha, r);
}

bool clibtorch_can_borrow(void) { return p_torch_from_blob != NULL; }

int32_t clibtorch_tensor_borrow(void *data, int64_t dim, const int64_t *sizes, const int64_t *strides, int32_t dtype,
                                clibtorch_deleter deleter, void *context, clibtorch_tensor *r) {
    return p_torch_from_blob(data, dim, sizes, strides, 0, dtype, clibtorch_device_code("cpu"), -1, r,
                             p_aoti_torch_layout_strided(), NULL, 0, deleter, context);
}

int32_t clibtorch_list_new(size_t capacity, clibtorch_list *r) { return p_torch_new_list_reserve_size(capacity, r); }
int32_t clibtorch_list_append(clibtorch_list list, clibtorch_value v) { return p_torch_list_push_back(list, v); }
int32_t clibtorch_list_count(clibtorch_list list, size_t *r) { return p_torch_list_size(list, r); }
int32_t clibtorch_list_get(clibtorch_list list, size_t i, clibtorch_value *r) { return p_torch_list_get_item(list, i, r); }
void clibtorch_list_release(clibtorch_list list) { p_torch_delete_list(list); }

int32_t clibtorch_string_new(const char *bytes, size_t length, clibtorch_string *r) {
    return p_torch_new_string_handle(bytes, length, r);
}

int32_t clibtorch_optional_new(clibtorch_value value, clibtorch_value *r) {
    uint64_t *word = NULL;
    if (p_torch_new_stable_ivalue) {
        int32_t status = p_torch_new_stable_ivalue(&word);
        if (status) return status;
    } else {
        // Before 2.13 the callee frees the word with C++'s delete, which is free() in every C++ library in use.
        word = malloc(sizeof *word);
        if (!word) return 1;
    }
    *word = value;
    *r = (clibtorch_value)(uintptr_t)word;
    return 0;
}

static int32_t code(const char *prefix, const char *name) {
    char symbol[96];
    int length = snprintf(symbol, sizeof symbol, "%s%s", prefix, name);
    if (!library || length < 0 || (size_t)length >= sizeof symbol) return -1;
    int32_t (*get)(void) = (int32_t(*)(void))dlsym(library, symbol);
    return get ? get() : -1;
}

int32_t clibtorch_dtype_code(const char *name) { return code("aoti_torch_dtype_", name); }
int32_t clibtorch_device_code(const char *name) { return code("aoti_torch_device_type_", name); }
int32_t clibtorch_memory_format_code(const char *name) { return code("aoti_torch_memory_format_", name); }
int32_t clibtorch_layout_strided(void) { return p_aoti_torch_layout_strided(); }

uint32_t clibtorch_thread_count(void) {
    uint32_t count = 0;
    return p_torch_get_num_threads(&count) == 0 ? count : 0;
}

// The CUDA run time is opened by libtorch_cpu.so's own dependencies; its C functions are found in the global scope.
static void *cuda_symbol(const char *name) {
    if (!library) return NULL;
    // Not every build's libtorch_cpu.so depends on it; libtorch_cuda.so, opened globally, does.
    void *symbol = dlsym(library, name);
    return symbol ? symbol : dlsym(RTLD_DEFAULT, name);
}

int32_t clibtorch_cuda_count(int32_t *count) {
    int (*get)(int *) = (int (*)(int *))cuda_symbol("cudaGetDeviceCount");
    return get ? get(count) : -1;
}

const char *clibtorch_cuda_error(int32_t status) {
    const char *(*get)(int) = (const char *(*)(int))cuda_symbol("cudaGetErrorString");
    return get ? get(status) : NULL;
}

void clibtorch_cuda_versions(int32_t *driver, int32_t *runtime) {
    int (*get_driver)(int *) = (int (*)(int *))cuda_symbol("cudaDriverGetVersion");
    int (*get_runtime)(int *) = (int (*)(int *))cuda_symbol("cudaRuntimeGetVersion");
    if (get_driver) get_driver(driver);
    if (get_runtime) get_runtime(runtime);
}

int clibtorch_cuda_memory(int32_t device, size_t *free_bytes, size_t *total_bytes) {
    int (*set)(int) = (int (*)(int))cuda_symbol("cudaSetDevice");
    int (*get)(size_t *, size_t *) = (int (*)(size_t *, size_t *))cuda_symbol("cudaMemGetInfo");
    if (!set || !get || set(device)) return -1;
    return get(free_bytes, total_bytes);
}

int clibtorch_cuda_synchronize(int32_t device) {
    // It waits for the calling thread's current device.
    int (*set)(int) = (int (*)(int))cuda_symbol("cudaSetDevice");
    int (*synchronize)(void) = (int (*)(void))cuda_symbol("cudaDeviceSynchronize");
    return set && synchronize && !set(device) ? synchronize() : -1;
}

int clibtorch_cuda_attribute(int32_t device, int32_t attribute, int32_t *value) {
    int (*get)(int *, int, int) = (int (*)(int *, int, int))cuda_symbol("cudaDeviceGetAttribute");
    return get ? get(value, attribute, device) : -1;
}

int clibtorch_cuda_describe(int32_t device, char *name, size_t length, size_t *total_bytes) {
    // The driver's own functions: the run time's make a context, which takes half a gigabyte of each device.
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!driver) return -1;
    int (*begin)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuInit");
    int (*get)(int *, int) = (int (*)(int *, int))dlsym(driver, "cuDeviceGet");
    int (*get_name)(char *, int, int) = (int (*)(char *, int, int))dlsym(driver, "cuDeviceGetName");
    int (*get_total)(size_t *, int) = (int (*)(size_t *, int))dlsym(driver, "cuDeviceTotalMem_v2");
    int handle = 0;
    if (!begin || !get || !get_name || !get_total || begin(0) || get(&handle, device)) return -1;
    return get_name(name, (int)length, handle) || get_total(total_bytes, handle) ? -1 : 0;
}
