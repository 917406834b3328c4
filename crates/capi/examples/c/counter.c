/*
 * A counter that three processes keep together. Each is asked by lines on its standard input:
 *
 *   ./counter 1 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003      (and 2, and 3)
 *   add 5     -> ok 5        it is on two disks, and the counter is 5 now
 *             -> unknown     a leader was lost on the way: it may have been added or not
 *             -> later: ...  nothing was added
 *   get       -> value 5     everything that anybody was told of is in it
 *   who       -> leader n1
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ombak.h"

enum { WITHIN_MS = 10000, MEMBERS_MAX = 7 };

/* A number as eight bytes, the same on every machine. */
static void put(ombak_out *out, uint64_t n) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(n >> (8 * i));
    ombak_write(out, bytes, sizeof bytes);
}

static uint64_t take(const uint8_t *bytes, size_t length) {
    uint64_t n = 0;
    for (size_t i = 0; i < length && i < 8; i++) n |= (uint64_t)bytes[i] << (8 * i);
    return n;
}

static void apply(void *counter, uint64_t slot, const uint8_t *command, size_t length, ombak_out *answer) {
    (void)slot;
    *(uint64_t *)counter += take(command, length);
    put(answer, *(uint64_t *)counter);
}

static void read_(void *counter, const uint8_t *query, size_t length, ombak_out *answer) {
    (void)query, (void)length;
    put(answer, *(uint64_t *)counter);
}

static void snapshot(void *counter, ombak_out *out) { put(out, *(uint64_t *)counter); }

static int restore(void *counter, const uint8_t *snapshot, size_t length) {
    if (length != 8) return 1;
    *(uint64_t *)counter = take(snapshot, length);
    return 0;
}

/* Says how a call went, with the number that came with it. */
static void tell(const char *what, ombak_code code, ombak_buffer *answer) {
    if (code == OMBAK_OK)
        printf("%s %" PRIi64 "\n", what, (int64_t)take(answer->bytes, answer->length));
    else if (code == OMBAK_UNKNOWN || code == OMBAK_ENDED)
        puts("unknown");
    else
        printf("later: %s\n", ombak_code_text(code));
    ombak_buffer_free(answer);
}

int main(int argc, char **argv) {
    ombak_member members[MEMBERS_MAX] = {{0}};
    ombak_options options = {0};
    ombak_group *group;
    char dir[32], why[256], line[64];
    if (argc < 3 || argc > 2 + MEMBERS_MAX) return fprintf(stderr, "usage: counter ID ADDRESS...\n"), 2;
    for (int i = 2; i < argc; i++) members[i - 2] = (ombak_member){(uint32_t)i - 1, argv[i], 1};
    snprintf(dir, sizeof dir, "counter-%.16s", argv[1]);
    options.group = "counter", options.dir = dir;
    options.id = (uint32_t)strtoul(argv[1], NULL, 10);
    options.members = members, options.members_length = (size_t)argc - 2;
    ombak_machine machine = {calloc(1, sizeof(uint64_t)), apply, read_, snapshot, restore, free};
    if (ombak_start(&options, &machine, &group, why, sizeof why) != OMBAK_OK) return fprintf(stderr, "%s\n", why), 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        ombak_buffer answer = {0};
        ombak_status status;
        uint8_t n[8];
        if (strncmp(line, "add ", 4) == 0) {
            for (int i = 0; i < 8; i++) n[i] = (uint8_t)((uint64_t)strtoll(line + 4, NULL, 10) >> (8 * i));
            tell("ok", ombak_propose(group, n, sizeof n, WITHIN_MS, &answer), &answer);
        } else if (strncmp(line, "get", 3) == 0) {
            tell("value", ombak_read(group, NULL, 0, WITHIN_MS, &answer), &answer);
        } else if (ombak_status_of(group, &status) != OMBAK_OK || status.leader == OMBAK_NOBODY) {
            puts("leader nobody");
        } else {
            printf("leader n%" PRIu32 "\n", status.leader);
        }
    }
    return ombak_stop(group, why, sizeof why);
}
