/* How recorded boards are played: the files, the clock, and what a call finds. See scenario.py and live_power.py for the files. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { /* nvmlReturn_t */
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, UNKNOWN = 999
};

#define API __attribute__((visibility("default"))) int
#define MOST_BOARDS 16
#define FIELD_SERIES "nvmlDeviceGetFieldValues"

/* The scenario file, as scenario.py writes it: head, boards, series, processes, entries. All numbers have 64 bits. */
typedef struct { char magic[16]; int64_t begin_ns, end_ns, boards, series, processes, entries, may_set; char driver[32]; } Head;
typedef struct {
    char name[96], uuid[96], bus_id[32], vbios[32];
    int64_t index, call_ns, spikes_per_million, seed, first_series, series, first_process, least_limit_mw, most_limit_mw;
} Board;
typedef struct { char function[64]; int64_t argument, live, window_ns, lag_ns, first_entry, entries; } Series;
typedef struct { int64_t pid, bytes; } Process;
typedef struct { int64_t t_ns, tick_ns, timestamp_us, value, code; } Entry;
enum { LIVE_NOT = 0, LIVE_ENERGY = 1, LIVE_POWER = 2, LIVE_USE = 3 };

/* What processes change while the scenario runs, one file a board, as live_power.py writes it. 0 is "not set". */
typedef struct { int64_t t_ns; double energy_j, watts; } Piece;
typedef struct {
    int64_t pieces, limit_mw, sm_low_mhz, sm_high_mhz, memory_low_mhz, memory_high_mhz, persistence, room;
    Piece piece[];
} Live;

static const Head *head;
static const Board *boards;
static const Series *series;
static const Process *processes;
static const Entry *entries;
static Live *live[MOST_BOARDS];
static int users;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* ---- opening ---- */

static void *mapped(const char *folder, const char *name, int protection, int *code) {
    char path[4096];
    struct stat status;
    void *found = MAP_FAILED;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, protection & PROT_WRITE ? O_RDWR : O_RDONLY);
    if (file >= 0 && fstat(file, &status) == 0) found = mmap(NULL, status.st_size, protection, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    *code = found == MAP_FAILED ? DRIVER_NOT_LOADED : SUCCESS;
    return found == MAP_FAILED ? NULL : found;
}

static int opened(void) {
    const char *folder = getenv("VIRTUAL_GPU_FOLDER");
    int code;
    if (!folder) return DRIVER_NOT_LOADED;
    const Head *found = mapped(folder, "boards.bin", PROT_READ, &code);
    if (code) return code;
    if (strcmp(found->magic, "llem boards 1") || found->boards > MOST_BOARDS) return DRIVER_NOT_LOADED;
    for (int64_t index = 0; index < found->boards && !code; index++) {
        char name[32];
        snprintf(name, sizeof name, "live-%d.bin", (int)index);
        live[index] = mapped(folder, name, PROT_READ | PROT_WRITE, &code);
    }
    if (code) return code;
    boards = (const Board *)(found + 1);
    series = (const Series *)(boards + found->boards);
    processes = (const Process *)(series + found->series);
    entries = (const Entry *)(processes + found->processes);
    head = found;
    return SUCCESS;
}

API nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int code = head ? SUCCESS : opened();
    users += code == SUCCESS;
    return code;
}
API nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
API nvmlInit(void) { return nvmlInitWithFlags(0); }
API nvmlShutdown(void) {
    if (!users) return UNINITIALIZED;
    users--;
    return SUCCESS;
}

/* ---- one call ---- */

static uint64_t scrambled(uint64_t value) { /* the finaliser of MurmurHash3, public domain */
    value = (value ^ (value >> 33)) * 0xff51afd7ed558ccdULL;
    value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return value ^ (value >> 33);
}

/* Let a call take its time; when it is answered. Short times are spent, as in a driver, not slept. */
static int64_t answered_ns(const Board *board) {
    int64_t began_ns = now_ns(), call_ns = board->call_ns;
    uint64_t chance = scrambled((uint64_t)(began_ns ^ board->seed));
    if ((int64_t)(chance % 1000000) < board->spikes_per_million) {
        int64_t spike_ns = 5000000 + (int64_t)(scrambled(chance) % 195000000);
        struct timespec length = {spike_ns / 1000000000, spike_ns % 1000000000};
        nanosleep(&length, NULL);
        call_ns += spike_ns;
    }
    while (now_ns() - began_ns < call_ns) {}
    return now_ns();
}

/* Energy of the live power of a board until an instant. */
static double live_j(const Board *board, int64_t t_ns) {
    const Live *own = live[board->index];
    for (int64_t place = __atomic_load_n(&own->pieces, __ATOMIC_ACQUIRE) - 1; place >= 0; place--)
        if (own->piece[place].t_ns <= t_ns)
            return own->piece[place].energy_j + own->piece[place].watts * (t_ns - own->piece[place].t_ns) * 1e-9;
    return 0;
}

/* What a series shows with the live power: added after faults, and seen whole by a counter, also by one that looks now and then. */
static int64_t with_live(const Board *board, const Series *one, const Entry *entry, int64_t at_ns) {
    int64_t until_ns = (one->live == LIVE_USE ? at_ns : entry->tick_ns) - one->lag_ns;
    if (one->live == LIVE_NOT || (one->live != LIVE_USE && entry->value == 0)) return entry->value;
    double until_j = live_j(board, until_ns);
    if (one->live == LIVE_ENERGY) return entry->value + (int64_t)(1000 * until_j);
    double mean_w = (until_j - live_j(board, until_ns - one->window_ns)) / (one->window_ns * 1e-9);
    if (one->live == LIVE_USE) return mean_w > 0 ? 100 : entry->value;
    return entry->value + (int64_t)(1000 * mean_w);
}

static const Series *series_of(const Board *board, const char *function, int64_t argument) {
    const Series *first = series + board->first_series;
    for (const Series *one = first; one < first + board->series; one++)
        if (one->argument == argument && !strcmp(one->function, function)) return one;
    return NULL;
}

/* What one series holds at an instant: the last entry that began before it. */
static int held(const Board *board, const char *function, int64_t argument, int64_t at_ns, int64_t *value, int64_t *timestamp_us) {
    const Series *one = series_of(board, function, argument);
    if (!one) return NOT_SUPPORTED;
    if (at_ns < head->begin_ns || at_ns > head->end_ns) return UNKNOWN; /* not played for this time */
    const Entry *low = entries + one->first_entry, *high = low + one->entries;
    while (high - low > 1) {
        const Entry *middle = low + (high - low) / 2;
        if (middle->t_ns <= at_ns) low = middle;
        else high = middle;
    }
    *value = with_live(board, one, low, at_ns);
    if (timestamp_us) *timestamp_us = low->timestamp_us;
    return (int)low->code;
}

static int asked(const Board *board, const char *function, int64_t argument, int64_t *value) {
    if (!users) return UNINITIALIZED;
    if (!board || !value) return INVALID_ARGUMENT;
    return held(board, function, argument, answered_ns(board), value, NULL);
}

static int number(const Board *board, const char *function, int64_t argument, unsigned *out) {
    int64_t value = 0;
    int code = asked(board, function, argument, &value);
    if (!code && out) *out = (unsigned)value;
    return code;
}

static int text(const Board *board, const char *function, const char *value, char *out, unsigned size) {
    int64_t there;
    int code = asked(board, function, 0, &there);
    if (code) return code;
    if (strlen(value) >= size) return INSUFFICIENT_SIZE;
    strcpy(out, value);
    return SUCCESS;
}
