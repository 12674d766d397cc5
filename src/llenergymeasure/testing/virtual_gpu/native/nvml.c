/* libnvidia-ml.so.1 for tests: plays boards from a scenario file, by CLOCK_MONOTONIC.
 *
 * It knows nothing of boards or sensors. scenario.py records what the Python board answers to each call and from which instant
 * on; here that is looked up by the clock. What is added here is time (how long a call takes), power that is drawn while the
 * scenario runs (live_power.py), and settings, which all processes share. A function that is not here is a missing symbol.
 */
#include "player.h"

/* ---- the system ---- */

API nvmlSystemGetDriverVersion(char *version, unsigned size) {
    if (!users) return UNINITIALIZED;
    if (strlen(head->driver) >= size) return INSUFFICIENT_SIZE;
    strcpy(version, head->driver);
    return SUCCESS;
}
API nvmlSystemGetNVMLVersion(char *version, unsigned size) {
    if (size < 16) return INSUFFICIENT_SIZE;
    strcpy(version, "12.570.86.15");
    return SUCCESS;
}
API nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12080; return SUCCESS; }
API nvmlSystemGetCudaDriverVersion(int *version) { return nvmlSystemGetCudaDriverVersion_v2(version); }

__attribute__((visibility("default"))) const char *nvmlErrorString(int code) {
    switch (code) {
    case SUCCESS: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

/* ---- finding a board ---- */

API nvmlDeviceGetCount_v2(unsigned *count) {
    if (!users) return UNINITIALIZED;
    *count = (unsigned)head->boards;
    return SUCCESS;
}

static int handed(const Board *board, const Board **out) {
    int64_t there;
    int code = asked(board, "nvmlDeviceGetHandleByIndex", 0, &there);
    if (!code) *out = board;
    return code;
}
API nvmlDeviceGetHandleByIndex_v2(unsigned index, const Board **device) {
    if (!users) return UNINITIALIZED;
    return index < head->boards ? handed(boards + index, device) : INVALID_ARGUMENT;
}
API nvmlDeviceGetHandleByUUID(const char *uuid, const Board **device) {
    for (unsigned index = 0; users && index < head->boards; index++)
        if (!strcmp(boards[index].uuid, uuid)) return handed(boards + index, device);
    return users ? NOT_FOUND : UNINITIALIZED;
}
API nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, const Board **device) {
    for (unsigned index = 0; users && index < head->boards; index++)
        if (!strcmp(boards[index].bus_id, bus_id)) return handed(boards + index, device);
    return users ? NOT_FOUND : UNINITIALIZED;
}

/* ---- what a board is ---- */

API nvmlDeviceGetIndex(const Board *board, unsigned *index) { *index = (unsigned)board->index; return SUCCESS; }
API nvmlDeviceGetName(const Board *board, char *out, unsigned size) {
    return text(board, "nvmlDeviceGetName", board->name, out, size);
}
API nvmlDeviceGetUUID(const Board *board, char *out, unsigned size) {
    return text(board, "nvmlDeviceGetUUID", board->uuid, out, size);
}
API nvmlDeviceGetVbiosVersion(const Board *board, char *out, unsigned size) {
    return text(board, "nvmlDeviceGetVbiosVersion", board->vbios, out, size);
}

typedef struct { char legacy[16]; unsigned domain, bus, device, device_id, subsystem_id; char bus_id[32]; } Pci;
API nvmlDeviceGetPciInfo_v3(const Board *board, Pci *out) {
    memset(out, 0, sizeof *out);
    snprintf(out->legacy, sizeof out->legacy, "%.12s", board->bus_id + 4);
    strcpy(out->bus_id, board->bus_id);
    out->bus = (unsigned)board->index + 1;
    return SUCCESS;
}

API nvmlDeviceGetCudaComputeCapability(const Board *board, int *major, int *minor) {
    int code = number(board, "nvmlDeviceGetCudaComputeCapability", 0, (unsigned *)major);
    return code ? code : number(board, "nvmlDeviceGetCudaComputeCapability", 1, (unsigned *)minor);
}

#define NUMBER(function) API function(const Board *board, unsigned *out) { return number(board, #function, 0, out); }
NUMBER(nvmlDeviceGetArchitecture)
NUMBER(nvmlDeviceGetComputeMode)
NUMBER(nvmlDeviceGetPerformanceState)
NUMBER(nvmlDeviceGetFanSpeed)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth)
NUMBER(nvmlDeviceGetVirtualizationMode)
NUMBER(nvmlDeviceGetPowerUsage)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit)
API nvmlDeviceGetBrand(const Board *board, unsigned *out) { (void)board; *out = 0; return SUCCESS; } /* unknown */
API nvmlDeviceGetC2cModeInfoV(const Board *board, void *out) { (void)board; (void)out; return NOT_SUPPORTED; }

API nvmlDeviceGetMigMode(const Board *board, unsigned *current, unsigned *pending) {
    int code = number(board, "nvmlDeviceGetMigMode", 0, current);
    *pending = *current;
    return code;
}
API nvmlDeviceGetEccMode(const Board *board, unsigned *current, unsigned *pending) {
    int code = number(board, "nvmlDeviceGetEccMode", 0, current);
    *pending = *current;
    return code;
}

/* ---- power and energy ---- */

API nvmlDeviceGetTotalEnergyConsumption(const Board *board, unsigned long long *out) {
    int64_t value = 0;
    int code = asked(board, "nvmlDeviceGetTotalEnergyConsumption", 0, &value);
    if (!code) *out = (unsigned long long)value;
    return code;
}

typedef struct {
    unsigned field, scope;
    long long timestamp_us, latency_us;
    unsigned type;
    int code;
    union { double real; unsigned whole; unsigned long long wide; } value;
} Field;
API nvmlDeviceGetFieldValues(const Board *board, int count, Field *fields) {
    int64_t value = 0;
    int code = asked(board, FIELD_SERIES, -1, &value);
    if (code) return code;
    int64_t at_ns = now_ns();
    for (Field *field = fields; field < fields + count; field++) {
        field->type = 1; /* NVML_VALUE_TYPE_UNSIGNED_INT */
        int64_t timestamp_us = 0;
        field->code = held(board, FIELD_SERIES, field->field * 16LL + field->scope, at_ns, &value, &timestamp_us);
        field->timestamp_us = timestamp_us;
        field->latency_us = 0;
        field->value.wide = (unsigned)value;
    }
    return SUCCESS;
}

/* ---- limits and clocks: settings that all processes share ---- */

static int set(const Board *board, int64_t *what, int64_t value) {
    if (!users) return UNINITIALIZED;
    answered_ns(board);
    if (!head->may_set) return NO_PERMISSION;
    __atomic_store_n(what, value, __ATOMIC_RELEASE);
    return SUCCESS;
}

API nvmlDeviceGetPowerManagementLimit(const Board *board, unsigned *out) {
    int code = nvmlDeviceGetPowerManagementDefaultLimit(board, out);
    if (!code && live[board->index]->limit_mw) *out = (unsigned)live[board->index]->limit_mw;
    return code;
}
API nvmlDeviceGetEnforcedPowerLimit(const Board *board, unsigned *out) {
    int code = number(board, "nvmlDeviceGetEnforcedPowerLimit", 0, out);
    int64_t limit_mw = code ? 0 : live[board->index]->limit_mw;
    if (limit_mw && limit_mw < *out) *out = (unsigned)limit_mw;
    return code;
}
API nvmlDeviceGetPowerManagementLimitConstraints(const Board *board, unsigned *least, unsigned *most) {
    *least = (unsigned)board->least_limit_mw;
    *most = (unsigned)board->most_limit_mw;
    return users ? SUCCESS : UNINITIALIZED;
}
API nvmlDeviceSetPowerManagementLimit(const Board *board, unsigned limit_mw) {
    if (limit_mw < board->least_limit_mw || limit_mw > board->most_limit_mw) return INVALID_ARGUMENT;
    return set(board, &live[board->index]->limit_mw, limit_mw);
}

API nvmlDeviceGetMaxClockInfo(const Board *board, unsigned type, unsigned *out) {
    return number(board, "nvmlDeviceGetMaxClockInfo", type ? type : 1, out);
}
API nvmlDeviceGetApplicationsClock(const Board *board, unsigned type, unsigned *out) {
    return number(board, "nvmlDeviceGetApplicationsClock", type ? type : 1, out);
}
API nvmlDeviceGetClockInfo(const Board *board, unsigned type, unsigned *out) {
    int code = number(board, "nvmlDeviceGetClockInfo", type ? type : 1, out);
    int64_t high_mhz = code ? 0 : type == 2 ? live[board->index]->memory_high_mhz : live[board->index]->sm_high_mhz;
    if (high_mhz && high_mhz < *out) *out = (unsigned)high_mhz;
    return code;
}
/* Which clocks there are: the highest, 70 % and half of it. */
static int clocks(const Board *board, unsigned type, unsigned *count, unsigned *out) {
    static const unsigned percents[] = {100, 70, 50};
    unsigned highest_mhz, room = *count, there = sizeof percents / sizeof *percents;
    int code = nvmlDeviceGetMaxClockInfo(board, type, &highest_mhz);
    if (code) return code;
    *count = there;
    if (room < there) return INSUFFICIENT_SIZE;
    for (unsigned place = 0; place < there; place++) out[place] = highest_mhz * percents[place] / 100;
    return SUCCESS;
}
API nvmlDeviceGetSupportedMemoryClocks(const Board *board, unsigned *count, unsigned *out) {
    return clocks(board, 2, count, out);
}
API nvmlDeviceGetSupportedGraphicsClocks(const Board *board, unsigned memory_mhz, unsigned *count, unsigned *out) {
    (void)memory_mhz;
    return clocks(board, 1, count, out);
}
static int locked(const Board *board, int64_t *low, int64_t *high, unsigned low_mhz, unsigned high_mhz) {
    if (low_mhz > high_mhz) return INVALID_ARGUMENT;
    int code = set(board, low, low_mhz);
    return code ? code : set(board, high, high_mhz);
}
API nvmlDeviceSetGpuLockedClocks(const Board *board, unsigned low, unsigned high) {
    return locked(board, &live[board->index]->sm_low_mhz, &live[board->index]->sm_high_mhz, low, high);
}
API nvmlDeviceResetGpuLockedClocks(const Board *board) { return nvmlDeviceSetGpuLockedClocks(board, 0, 0); }
API nvmlDeviceSetMemoryLockedClocks(const Board *board, unsigned low, unsigned high) {
    return locked(board, &live[board->index]->memory_low_mhz, &live[board->index]->memory_high_mhz, low, high);
}
API nvmlDeviceResetMemoryLockedClocks(const Board *board) { return nvmlDeviceSetMemoryLockedClocks(board, 0, 0); }

API nvmlDeviceGetPersistenceMode(const Board *board, unsigned *out) {
    int code = number(board, "nvmlDeviceGetPersistenceMode", 0, out);
    int64_t mode = code ? 0 : live[board->index]->persistence; /* 1 off, 2 on */
    if (mode) *out = mode == 2;
    return code;
}
API nvmlDeviceSetPersistenceMode(const Board *board, unsigned mode) {
    return set(board, &live[board->index]->persistence, mode ? 2 : 1);
}

/* ---- what a board does ---- */

API nvmlDeviceGetTemperature(const Board *board, unsigned sensor, unsigned *out) {
    return number(board, "nvmlDeviceGetTemperature", sensor, out);
}
API nvmlDeviceGetTemperatureV(const Board *board, unsigned *versioned) { /* version, sensor, temperature */
    return nvmlDeviceGetTemperature(board, versioned[1], versioned + 2);
}
API nvmlDeviceGetUtilizationRates(const Board *board, unsigned *gpu_and_memory) {
    int code = number(board, "nvmlDeviceGetUtilizationRates", 0, gpu_and_memory);
    return code ? code : number(board, "nvmlDeviceGetUtilizationRates", 1, gpu_and_memory + 1);
}

static int memory(const Board *board, unsigned long long *total, unsigned long long *left, unsigned long long *used) {
    int64_t used_bytes = 0, total_bytes = 0;
    int code = asked(board, "nvmlDeviceGetMemoryInfo", 0, &used_bytes);
    if (!code) code = held(board, "nvmlDeviceGetMemoryInfo", 1, now_ns(), &total_bytes, NULL);
    *total = (unsigned long long)total_bytes;
    *used = (unsigned long long)used_bytes;
    *left = *total - *used;
    return code;
}
typedef struct { unsigned long long total, left, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, left, used; } Memory2;
API nvmlDeviceGetMemoryInfo(const Board *board, Memory *out) { return memory(board, &out->total, &out->left, &out->used); }
API nvmlDeviceGetMemoryInfo_v2(const Board *board, Memory2 *out) {
    int code = memory(board, &out->total, &out->left, &out->used);
    int64_t reserved = 0;
    if (!code) code = held(board, "nvmlDeviceGetMemoryInfo", 2, now_ns(), &reserved, NULL);
    out->reserved = (unsigned long long)reserved;
    out->used -= out->reserved; /* the older answer counts the driver's own as used */
    return code;
}

typedef struct { unsigned long long reference_us, violation_ns; } Violation;
API nvmlDeviceGetViolationStatus(const Board *board, unsigned policy, Violation *out) {
    int64_t value = 0;
    int code = asked(board, "nvmlDeviceGetViolationStatus", policy, &value);
    out->reference_us = (unsigned long long)(now_ns() / 1000);
    out->violation_ns = (unsigned long long)value;
    return code;
}
API nvmlDeviceGetCurrentClocksEventReasons(const Board *board, unsigned long long *out) {
    int64_t value = 0;
    int code = asked(board, "nvmlDeviceGetCurrentClocksEventReasons", 0, &value);
    *out = (unsigned long long)value;
    return code;
}
API nvmlDeviceGetCurrentClocksThrottleReasons(const Board *board, unsigned long long *out) {
    return nvmlDeviceGetCurrentClocksEventReasons(board, out);
}

typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; } Running;
static int running(const Board *board, const char *function, unsigned *count, Running *out) {
    int64_t there = 0;
    int code = asked(board, function, 0, &there);
    if (code) return code;
    unsigned room = *count;
    *count = (unsigned)there;
    if (room < there) return INSUFFICIENT_SIZE;
    for (int64_t place = 0; place < there; place++) {
        const Process *one = processes + board->first_process + place;
        out[place] = (Running){(unsigned)one->pid, (unsigned long long)one->bytes, 0xffffffffu, 0xffffffffu};
    }
    return SUCCESS;
}
API nvmlDeviceGetComputeRunningProcesses_v3(const Board *board, unsigned *count, Running *out) {
    return running(board, "nvmlDeviceGetComputeRunningProcesses", count, out);
}
API nvmlDeviceGetGraphicsRunningProcesses_v3(const Board *board, unsigned *count, Running *out) {
    return running(board, "nvmlDeviceGetGraphicsRunningProcesses", count, out);
}
API nvmlDeviceGetMPSComputeRunningProcesses_v3(const Board *board, unsigned *count, Running *out) {
    return running(board, "nvmlDeviceGetMPSComputeRunningProcesses", count, out);
}
