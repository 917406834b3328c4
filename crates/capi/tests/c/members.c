/* Three members in one process, one of them a witness, with leases. Ends with 0, or says what is not as it should be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ombak.h"

#define MUST(what) \
    do { \
        if (!(what)) { \
            fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what); \
            exit(1); \
        } \
    } while (0)

enum { MEMBERS = 3, WITNESS = 3, WITHIN_MS = 30000, NOT_LONG_MS = 500 };

/* How many commands it has applied. */
typedef struct {
    unsigned char count;
    int is_called, frees;
} counter;

static void apply(void *context, uint64_t slot, const uint8_t *command, size_t length, ombak_out *answer) {
    counter *own = context;
    (void)slot, (void)command, (void)length;
    own->is_called = 1;
    own->count++;
    ombak_write(answer, &own->count, 1);
}

static void read_(void *context, const uint8_t *query, size_t length, ombak_out *answer) {
    counter *own = context;
    (void)query, (void)length;
    own->is_called = 1;
    ombak_write(answer, &own->count, 1);
}

static void snapshot(void *context, ombak_out *out) {
    counter *own = context;
    own->is_called = 1;
    ombak_write(out, &own->count, 1);
}

static int restore(void *context, const uint8_t *snapshot, size_t length) {
    counter *own = context;
    own->is_called = 1;
    if (length != 1) return 1;
    own->count = snapshot[0];
    return 0;
}

static void free_(void *context) { ((counter *)context)->frees++; }

static int says(ombak_buffer *answer, unsigned char count) {
    int is = answer->length == 1 && answer->bytes[0] == count;
    ombak_buffer_free(answer);
    return is;
}

static ombak_group *start(uint32_t id, const ombak_member *members, counter *own) {
    ombak_machine machine = {own, apply, read_, snapshot, restore, free_};
    ombak_options options = {0};
    ombak_group *group = NULL;
    char why[256];
    options.group = "three", options.id = id;
    options.members = members, options.members_length = MEMBERS;
    options.lease_ms = 100, options.lease_drift_ppm = 1000;
    if (ombak_start(&options, &machine, &group, why, sizeof why) != OMBAK_OK) {
        fprintf(stderr, "member %u: %s\n", (unsigned)id, why);
        exit(1);
    }
    return group;
}

/* Waits until a member knows so many voters and learners, and a leader, and that nothing is changing. */
static ombak_status settled(const ombak_group *group, uint32_t voters, uint32_t learners) {
    ombak_status status = {0};
    do MUST(ombak_watch(group, &status, WITHIN_MS) == OMBAK_OK);
    while (status.leader == OMBAK_NOBODY || !status.is_ready || status.is_changing ||
           status.voters_length != voters || status.learners_length != learners);
    return status;
}

int main(int argc, char **argv) {
    static counter states[MEMBERS];
    ombak_member members[MEMBERS];
    ombak_group *groups[MEMBERS];
    ombak_buffer answer = {0};
    MUST(argc == 1 + MEMBERS);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        members[i].id = i + 1, members[i].address = argv[1 + i];
        members[i].votes = i + 1 == WITNESS ? OMBAK_WITNESS : OMBAK_VOTER;
    }
    for (uint32_t i = 0; i < MEMBERS; i++) groups[i] = start(i + 1, members, &states[i]);

    /* The witness takes commands, keeps no state, and does not lead. */
    ombak_status status = settled(groups[0], 3, 0);
    MUST(status.votes && status.leader != WITNESS);
    MUST(status.witnesses_length == 1 && status.witnesses[0] == WITNESS);
    MUST(ombak_propose(groups[WITNESS - 1], "+", 1, WITHIN_MS, &answer) == OMBAK_OK && says(&answer, 1));
    MUST(ombak_read(groups[WITNESS - 1], NULL, 0, WITHIN_MS, &answer) == OMBAK_OK && says(&answer, 1));
    MUST(ombak_read_at(groups[WITNESS - 1], 1, NULL, 0, WITHIN_MS, NULL) == OMBAK_BEHIND);
    MUST(ombak_lead(groups[0], WITNESS, WITHIN_MS) == OMBAK_REFUSED);
    MUST(ombak_lead(groups[0], 1, WITHIN_MS) == OMBAK_OK);

    /* One that learns has the state, and does not vote. */
    uint32_t all[MEMBERS] = {1, 2, WITNESS}, others[2] = {1, WITNESS}, learner = 2, witness = WITNESS;
    ombak_membership to = {0};
    to.voters = others, to.voters_length = 2;
    to.learners = &learner, to.learners_length = 1;
    to.witnesses = &witness, to.witnesses_length = 1;
    MUST(ombak_change_to(groups[0], &to, WITHIN_MS) == OMBAK_OK);
    status = settled(groups[1], 2, 1);
    MUST(!status.votes && status.witnesses_length == 1);
    MUST(ombak_propose(groups[0], "+", 1, WITHIN_MS, &answer) == OMBAK_OK && says(&answer, 2));
    MUST(ombak_read(groups[1], NULL, 0, WITHIN_MS, &answer) == OMBAK_OK && says(&answer, 2));

    /* When all three must decide, two are too few. */
    to.voters = all, to.voters_length = MEMBERS, to.learners_length = 0, to.accept = MEMBERS;
    MUST(ombak_change_to(groups[0], &to, WITHIN_MS) == OMBAK_OK);
    MUST(settled(groups[1], 3, 0).votes);
    MUST(ombak_lead(groups[0], 1, WITHIN_MS) == OMBAK_OK);
    MUST(ombak_propose(groups[0], "+", 1, WITHIN_MS, &answer) == OMBAK_OK && says(&answer, 3));
    MUST(ombak_stop(groups[1], NULL, 0) == OMBAK_OK);
    MUST(ombak_propose(groups[0], "+", 1, NOT_LONG_MS, NULL) == OMBAK_UNKNOWN);
    MUST(ombak_stop(groups[0], NULL, 0) == OMBAK_OK);
    MUST(ombak_stop(groups[WITNESS - 1], NULL, 0) == OMBAK_OK);
    for (int i = 0; i < MEMBERS; i++) MUST(states[i].frees == 1);
    MUST(states[0].is_called && states[1].is_called && !states[WITNESS - 1].is_called);
    return 0;
}
