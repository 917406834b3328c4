/* What a caller can do wrong, and what is promised about it. Ends with 0, or says what is not as it should be. */
#include <pthread.h>
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

enum { WITHIN_MS = 30000, LARGE = OMBAK_COMMAND_BYTES_MAX + 1 };

/* All that was ever said, and who called. */
typedef struct {
    char said[256];
    size_t length;
    int is_called, frees, refuses;
    pthread_t caller;
} journal;

static void called(journal *own) {
    if (!own->is_called) own->caller = pthread_self();
    own->is_called = 1;
    MUST(pthread_equal(own->caller, pthread_self()));
}

static void apply(void *context, uint64_t slot, const uint8_t *command, size_t length, ombak_out *answer) {
    journal *own = context;
    called(own);
    MUST(slot > 0);
    if (length > sizeof own->said - own->length) length = 0;
    if (length > 0) memcpy(own->said + own->length, command, length);
    own->length += length;
    ombak_write(answer, own->said, own->length);
    ombak_write(answer, NULL, 0);
    ombak_write(answer, "!", 1);
}

static void read_(void *context, const uint8_t *query, size_t length, ombak_out *answer) {
    journal *own = context;
    called(own);
    if (length > 0 && query[0] == '?') ombak_write(answer, own->said, own->length);
}

static void snapshot(void *context, ombak_out *out) {
    journal *own = context;
    called(own);
    ombak_write(out, own->said, own->length);
}

static int restore(void *context, const uint8_t *snapshot, size_t length) {
    journal *own = context;
    called(own);
    if (own->refuses || length > sizeof own->said) return 1;
    if (length > 0) memcpy(own->said, snapshot, length);
    own->length = length;
    return 0;
}

static void free_(void *context) { ((journal *)context)->frees++; }

static int is(const ombak_buffer *answer, const char *text) {
    return answer->length == strlen(text) && memcmp(answer->bytes, text, answer->length) == 0;
}

static void what_is_missing_is_refused(ombak_options options, ombak_machine machine) {
    ombak_group *group = NULL;
    ombak_status status = {0};
    char why[256], small[8];
    MUST(ombak_start(NULL, &machine, &group, why, sizeof why) == OMBAK_INVALID);
    MUST(ombak_start(&options, NULL, &group, why, sizeof why) == OMBAK_INVALID);
    MUST(ombak_start(&options, &machine, NULL, why, sizeof why) == OMBAK_INVALID);
    MUST(strstr(why, "must not be NULL"));
    memset(small, 'x', sizeof small);
    MUST(ombak_start(NULL, NULL, NULL, small, sizeof small) == OMBAK_INVALID);
    MUST(strlen(small) == sizeof small - 1);
    MUST(ombak_start(NULL, NULL, NULL, NULL, 100) == OMBAK_INVALID);
    MUST(ombak_start(NULL, NULL, NULL, small, 0) == OMBAK_INVALID);

    ombak_machine none = machine;
    none.restore = NULL;
    MUST(ombak_start(&options, &none, &group, why, sizeof why) == OMBAK_INVALID);
    MUST(strstr(why, "restore"));

    ombak_options wrong = options;
    wrong.id = 9;
    MUST(ombak_start(&wrong, &machine, &group, why, sizeof why) == OMBAK_INVALID);
    MUST(strstr(why, "member 9 is not among the members"));
    wrong = options, wrong.group = "\xff";
    MUST(ombak_start(&wrong, &machine, &group, why, sizeof why) == OMBAK_INVALID);
    wrong = options, wrong.group = "two words";
    MUST(ombak_start(&wrong, &machine, &group, why, sizeof why) == OMBAK_NOT_STARTED);
    MUST(strstr(why, "printable"));
    ombak_member nowhere = {1, "localhost:1", 1};
    wrong = options, wrong.members = &nowhere;
    MUST(ombak_start(&wrong, &machine, &group, why, sizeof why) == OMBAK_INVALID);
    MUST(strstr(why, "localhost:1"));
    ombak_member elsewhere[2] = {{1, "192.0.2.1:1", 1}, {2, "192.0.2.2:1", 1}};
    wrong = options, wrong.members = elsewhere, wrong.members_length = 2;
    MUST(ombak_start(&wrong, &machine, &group, why, sizeof why) == OMBAK_NOT_STARTED);
    MUST(strstr(why, "cannot listen on 192.0.2.1:1"));

    wrong = options, wrong.lease_drift_ppm = 1;
    MUST(ombak_start(&wrong, &machine, &group, why, sizeof why) == OMBAK_INVALID);
    MUST(strstr(why, "lease_ms is 0"));
    wrong = options, wrong.lease_ms = 60001;
    MUST(ombak_start(&wrong, &machine, &group, why, sizeof why) == OMBAK_NOT_STARTED);
    MUST(strstr(why, "lease"));
    ombak_member witness = {1, "127.0.0.1:0", OMBAK_WITNESS};
    wrong = options, wrong.members = &witness;
    MUST(ombak_start(&wrong, &machine, &group, why, sizeof why) == OMBAK_NOT_STARTED);
    MUST(strstr(why, "too few keep the state"));

    ombak_membership nobody = {0};
    MUST(group == NULL);
    MUST(ombak_propose(NULL, "x", 1, 0, NULL) == OMBAK_INVALID);
    MUST(ombak_read(NULL, "x", 1, 0, NULL) == OMBAK_INVALID);
    MUST(ombak_read_at(NULL, 0, "x", 1, 0, NULL) == OMBAK_INVALID);
    MUST(ombak_lead(NULL, 1, 0) == OMBAK_INVALID);
    MUST(ombak_change(NULL, NULL, 0, 0) == OMBAK_INVALID);
    MUST(ombak_change_to(NULL, &nobody, 0) == OMBAK_INVALID);
    MUST(ombak_status_of(NULL, &status) == OMBAK_INVALID);
    MUST(ombak_watch(NULL, &status, 0) == OMBAK_INVALID);
    MUST(ombak_stop(NULL, NULL, 0) == OMBAK_OK);
    ombak_buffer_free(NULL);
}

static void a_group_of_one_does_as_it_is_told(ombak_options options, ombak_machine machine, const char *before) {
    static uint8_t large[LARGE];
    ombak_group *group = NULL;
    ombak_buffer answer = {0};
    ombak_status status = {0};
    char why[256], expected[64];
    uint32_t stranger = 9;
    MUST(ombak_start(&options, &machine, &group, why, sizeof why) == OMBAK_OK);
    MUST(why[0] == 0);
    do MUST(ombak_watch(group, &status, WITHIN_MS) == OMBAK_OK);
    while (status.leader != 1);
    MUST(status.id == 1 && status.is_ready && !status.has_failed && status.voters_length == 1 && status.voters[0] == 1);
    MUST(status.votes && !status.witnesses_length && !status.learners_length && !status.is_changing);
    MUST(ombak_watch(group, &status, 1) == OMBAK_LATE);

    MUST(ombak_propose(group, "abc", 3, WITHIN_MS, &answer) == OMBAK_OK);
    snprintf(expected, sizeof expected, "%sabc!", before);
    MUST(is(&answer, expected));
    ombak_buffer_free(&answer);
    MUST(answer.bytes == NULL && answer.length == 0);
    ombak_buffer_free(&answer);
    MUST(ombak_propose(group, NULL, 0, WITHIN_MS, NULL) == OMBAK_OK);
    MUST(ombak_read(group, "?", 1, WITHIN_MS, &answer) == OMBAK_OK);
    snprintf(expected, sizeof expected, "%sabc", before);
    MUST(is(&answer, expected));
    ombak_buffer_free(&answer);
    MUST(ombak_read(group, NULL, 0, WITHIN_MS, &answer) == OMBAK_OK);
    MUST(answer.bytes == NULL && answer.length == 0);

    MUST(ombak_propose(group, NULL, 1, WITHIN_MS, NULL) == OMBAK_INVALID);
    MUST(ombak_propose(group, large, LARGE, WITHIN_MS, NULL) == OMBAK_TOO_LARGE);
    MUST(ombak_read(group, large, LARGE, WITHIN_MS, NULL) == OMBAK_TOO_LARGE);
    MUST(ombak_change(group, &stranger, 1, WITHIN_MS) == OMBAK_NOT_A_PEER);
    MUST(ombak_change(group, NULL, 0, WITHIN_MS) == OMBAK_REFUSED);
    ombak_membership to = {0};
    MUST(ombak_change_to(group, NULL, WITHIN_MS) == OMBAK_INVALID);
    MUST(ombak_change_to(group, &to, WITHIN_MS) == OMBAK_REFUSED);
    to.voters_length = 1;
    MUST(ombak_change_to(group, &to, WITHIN_MS) == OMBAK_INVALID);
    to.voters = &status.id, to.learners = &stranger, to.learners_length = 1;
    MUST(ombak_change_to(group, &to, WITHIN_MS) == OMBAK_NOT_A_PEER);
    to.learners_length = 0, to.accept = 2;
    MUST(ombak_change_to(group, &to, WITHIN_MS) == OMBAK_REFUSED);
    to.accept = 0, to.witnesses = &status.id, to.witnesses_length = 1;
    MUST(ombak_change_to(group, &to, WITHIN_MS) == OMBAK_REFUSED);
    MUST(ombak_lead(group, 1, WITHIN_MS) == OMBAK_OK);
    MUST(ombak_lead(group, stranger, WITHIN_MS) == OMBAK_REFUSED);
    MUST(ombak_status_of(group, NULL) == OMBAK_INVALID);
    MUST(ombak_status_of(group, &status) == OMBAK_OK && status.slot >= 2);
    MUST(ombak_read_at(group, status.slot, "?", 1, WITHIN_MS, &answer) == OMBAK_OK);
    MUST(is(&answer, expected));
    ombak_buffer_free(&answer);
    MUST(ombak_read_at(group, status.slot + 1000, "?", 1, 1, &answer) == OMBAK_LATE);
    MUST(ombak_read_at(group, 0, large, LARGE, WITHIN_MS, NULL) == OMBAK_TOO_LARGE);
    if (options.dir != NULL) {
        ombak_group *second = NULL;
        MUST(ombak_start(&options, &machine, &second, why, sizeof why) == OMBAK_NOT_STARTED);
        MUST(strstr(why, "in use by another process") && second == NULL);
    }
    MUST(ombak_stop(group, why, sizeof why) == OMBAK_OK);
}

int main(int argc, char **argv) {
    static journal first, second, third, fourth;
    ombak_member member = {1, "127.0.0.1:0", 1};
    ombak_options options = {0};
    ombak_machine machine = {&first, apply, read_, snapshot, restore, free_};
    MUST(argc == 2);
    options.group = "border", options.id = 1;
    options.members = &member, options.members_length = 1;
    what_is_missing_is_refused(options, machine);
    MUST(first.frees == 0 && !first.is_called);

    a_group_of_one_does_as_it_is_told(options, machine, "");
    MUST(first.frees == 1);

    /* On a disk: what one has said, the next one knows, from a snapshot and from commands. */
    options.dir = argv[1], options.snapshot_every = 1;
    machine.context = &second;
    a_group_of_one_does_as_it_is_told(options, machine, "");
    MUST(second.frees == 1);
    machine.context = &third;
    a_group_of_one_does_as_it_is_told(options, machine, "abc");
    MUST(third.frees == 1);

    /* One that does not take its snapshot takes no part. */
    ombak_group *group = NULL;
    fourth.refuses = 1, machine.context = &fourth;
    MUST(ombak_start(&options, &machine, &group, NULL, 0) == OMBAK_OK);
    ombak_code code = ombak_propose(group, "x", 1, WITHIN_MS, NULL);
    MUST(code == OMBAK_ENDED);
    ombak_status status;
    MUST(ombak_status_of(group, &status) == OMBAK_OK && status.has_failed && status.leader == OMBAK_NOBODY);
    MUST(ombak_stop(group, NULL, 0) == OMBAK_OK && fourth.frees == 1);

    MUST(strcmp(ombak_code_text(OMBAK_OK), "it is done") == 0);
    MUST(strstr(ombak_code_text(12345), "another version"));
    return 0;
}
