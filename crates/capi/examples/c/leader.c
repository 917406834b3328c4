/*
 * Three processes of which one leads. Each says on its standard output who it is:
 *
 *   ./leader 1 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003      (and 2, and 3)
 *   n2 leads
 *   I lead, with token 7      nobody else has this token, and nobody will have a lower one from now on
 *   nobody leads
 *
 * One that was frozen may believe for a while that it leads still: so what it does in the world carries the token, and
 * whoever has seen a higher one refuses it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ombak.h"

enum { WITHIN_MS = 5000, MEMBERS_MAX = 7 };

/* The last token that was given, as eight bytes. */
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

/* Whatever the command is, it is a request for a token. */
static void apply(void *token, uint64_t slot, const uint8_t *command, size_t length, ombak_out *answer) {
    (void)slot, (void)command, (void)length;
    put(answer, ++*(uint64_t *)token);
}

static void read_(void *token, const uint8_t *query, size_t length, ombak_out *answer) {
    (void)query, (void)length;
    put(answer, *(uint64_t *)token);
}

static void snapshot(void *token, ombak_out *out) { put(out, *(uint64_t *)token); }

static int restore(void *token, const uint8_t *snapshot, size_t length) {
    if (length != 8) return 1;
    *(uint64_t *)token = take(snapshot, length);
    return 0;
}

/* This member leads: it asks for a token. To lead the group is to be the one whose proposals are decided. */
static void lead(const ombak_group *group) {
    ombak_buffer token = {0};
    ombak_code code = ombak_propose(group, NULL, 0, WITHIN_MS, &token);
    if (code == OMBAK_OK)
        printf("I lead, with token %" PRIu64 "\n", take(token.bytes, token.length));
    else
        printf("I led, and not for long: %s\n", ombak_code_text(code));
    ombak_buffer_free(&token);
}

int main(int argc, char **argv) {
    ombak_member members[MEMBERS_MAX] = {{0}};
    ombak_options options = {0};
    ombak_status status = {0};
    ombak_group *group;
    ombak_code code;
    char dir[32], why[256];
    if (argc < 3 || argc > 2 + MEMBERS_MAX) return fprintf(stderr, "usage: leader ID ADDRESS...\n"), 2;
    for (int i = 2; i < argc; i++) members[i - 2] = (ombak_member){(uint32_t)i - 1, argv[i], 1};
    snprintf(dir, sizeof dir, "leader-%.16s", argv[1]);
    options.group = "leader", options.dir = dir;
    options.id = (uint32_t)strtoul(argv[1], NULL, 10);
    options.members = members, options.members_length = (size_t)argc - 2;
    ombak_machine machine = {calloc(1, sizeof(uint64_t)), apply, read_, snapshot, restore, free};
    if (ombak_start(&options, &machine, &group, why, sizeof why) != OMBAK_OK) return fprintf(stderr, "%s\n", why), 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while ((code = ombak_watch(group, &status, UINT32_MAX)) == OMBAK_OK || code == OMBAK_LATE) {
        if (code == OMBAK_LATE || !status.is_ready) continue;
        if (status.leader == status.id)
            lead(group);
        else if (status.leader == OMBAK_NOBODY)
            puts("nobody leads");
        else
            printf("n%" PRIu32 " leads\n", status.leader);
    }
    return ombak_stop(group, why, sizeof why);
}
