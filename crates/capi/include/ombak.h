/*
 * Ombak: a replicated state machine in a process of your own.
 *
 * Say what is replicated (ombak_machine), where the members are (ombak_options), and ombak_start() makes this process
 * one of them: with a synced log on its disk, connections to the others, and a leader that is replaced when it dies.
 *
 * C99. Link with libombak_capi.so, or with libombak_capi.a and -lpthread -ldl -lm. See README.md beside this directory.
 *
 * Threads. Every function may be called from any thread, at the same time, but for ombak_stop(), which must be the last
 * one that is given the group. A call blocks its thread for at most the time it is given, or a moment where there is
 * none.
 *
 * Memory. Who owns what is said at each function. In short: what you pass in is yours, and is not kept, but for the
 * context of the machine; what comes out in an ombak_buffer is yours, and goes back by ombak_buffer_free().
 *
 * Failure. No panic leaves a function: it returns an ombak_code. What is not OMBAK_OK has written nothing behind a
 * pointer, but for the text that says why. No signal is raised, caught or blocked.
 */
#ifndef OMBAK_H
#define OMBAK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What became of a call. Codes never change their numbers; there may be more of them. */
typedef int32_t ombak_code;

#define OMBAK_OK 0
/* A command may have been decided, may yet be, or not. Ask the state before one that may not be applied twice is
 * proposed again, or give commands numbers that the state knows. */
#define OMBAK_UNKNOWN 1
/* Nothing was done. A majority of the members can't be reached: again, later. */
#define OMBAK_NO_LEADER 2
/* Nothing was done. Too much is waiting: again, later and with less at a time. */
#define OMBAK_BUSY 3
/* Nothing was done. The disk of this member is full: make room, or ask another member. */
#define OMBAK_DISK_FULL 4
/* Nothing was done, and never will be: larger than OMBAK_COMMAND_BYTES_MAX. */
#define OMBAK_TOO_LARGE 5
/* The time is over. What was asked changes nothing, so it can be asked again. */
#define OMBAK_LATE 6
/* This member takes no part any more: stop it, and start it again, or ask another one. */
#define OMBAK_ENDED 7
/* Nothing was done. The members are changing, or these would be no members, or that one can't lead. */
#define OMBAK_REFUSED 8
/* Nothing was done. A member that is not among the peers of this process. */
#define OMBAK_NOT_A_PEER 9
/* Nothing was done. A pointer is NULL that must not be, a text is no UTF-8, an address is none. */
#define OMBAK_INVALID 10
/* The member did not start; the text says why. */
#define OMBAK_NOT_STARTED 11
/* A bug of the library, caught at its border. The group should be stopped. */
#define OMBAK_PANICKED 12
/* Nothing was changed. This member has not come so far, or keeps no state: again, later, or another one. */
#define OMBAK_BEHIND 13

/* The largest command, and the largest query. */
#define OMBAK_COMMAND_BYTES_MAX 1048576
/* Members that vote, at most. */
#define OMBAK_VOTERS_MAX 31
/* No member. */
#define OMBAK_NOBODY UINT32_MAX

/* One line that says what a code means. It is static: never free it. */
const char *ombak_code_text(ombak_code code);

/* ------------------------------------------------------------------------------------------- the state machine --- */

/* Where a callback writes its answer. It is the library's, and gone when the callback returns. */
typedef struct ombak_out ombak_out;

/* Appends to an answer. The bytes are copied. Only in a callback, to the `out` that it was given. */
void ombak_write(ombak_out *out, const void *bytes, size_t length);

/*
 * What is replicated: a state that is yours, behind `context`, and what can be done with it. The same commands in the
 * same order must give the same state and the same answers in all processes: no clock, no chance, no addresses.
 *
 * Callbacks are called one at a time, all from one thread of the group's, and from ombak_start() to the end of
 * ombak_stop(). Meanwhile nothing else goes on in this member, so be quick: other members that hear nothing for
 * 400 ms elect another leader. `command`, `query` and `snapshot` are the library's and gone when the callback returns:
 * copy what you keep. Bytes of length 0 may be at NULL. A callback must not call a function of this header other than
 * ombak_write(), and must not be left by longjmp() or a C++ exception.
 */
typedef struct ombak_machine {
    /* Given to each callback. It is the library's until ombak_stop(), if ombak_start() has returned OMBAK_OK. */
    void *context;
    /* Applies what was decided. `slot` grows, and several commands can have the same. */
    void (*apply)(void *context, uint64_t slot, const uint8_t *command, size_t length, ombak_out *answer);
    /* Answers a question, and changes nothing. */
    void (*read)(void *context, const uint8_t *query, size_t length, ombak_out *answer);
    /* Writes all of the state. */
    void (*snapshot)(void *context, ombak_out *snapshot);
    /* Becomes what `snapshot` wrote, in this process or in another, and returns 0. Or returns something else, and has
     * not changed. */
    int (*restore)(void *context, const uint8_t *snapshot, size_t length);
    /* Called once by ombak_stop(), on its thread, after every other callback. May be NULL. */
    void (*free)(void *context);
} ombak_machine;

/* --------------------------------------------------------------------------------------------------- the group --- */

/* How a member begins. */
enum {
    /* It does not vote. */
    OMBAK_NO_VOTER = 0,
    /* It votes. */
    OMBAK_VOTER = 1,
    /* It votes and keeps the log, and never the state: its machine is never called but for `free`. It can't lead, and is not read
     * from. A group with one among three goes on without any one member, as with three states. Who is one stays one. */
    OMBAK_WITNESS = 2
};

/* One who is, or may come to be, a member. */
typedef struct ombak_member {
    /* Not OMBAK_NOBODY. One that has lost its disk is taken in again, if a majority of the voters is there without it. */
    uint32_t id;
    /* Where it listens for the others: "127.0.0.1:7001" or "[::1]:7001". Names are not looked up. */
    const char *address;
    /* How the group begins with it: OMBAK_NO_VOTER, OMBAK_VOTER or OMBAK_WITNESS. The same in all processes. Once a
     * group has begun, what is on the disks goes before. A member that joins later is started with 0 for all. */
    int votes;
} ombak_member;

/* What a member is started with. Set all of it to zero first: zero is the default, now and in later versions. */
typedef struct ombak_options {
    /* The name of the group, so that members of two groups never mix: 1 to 255 printable ASCII characters without
     * spaces, quotes, = and backslashes. */
    const char *group;
    /* Who this is. */
    uint32_t id;
    /* All members, this one too. */
    const ombak_member *members;
    size_t members_length;
    /* The directory for the log, created if need be. NULL: in memory, and this id must not be used again. */
    const char *dir;
    /* A snapshot is taken after so many bytes of commands, and not before they are as
     * many as the last snapshot's. 0: 4 MiB. */
    uint64_t snapshot_every;
    /* Not 0: a leader answers reads by itself for so many milliseconds after a majority has let it, 10 to 60,000. A read
     * then asks nobody, and after a leader's death the next one waits for as long. 0: it asks a majority each time.
     * The same in all processes.
     *
     * Reads are then as good as the clocks are. You promise that no process's monotonic clock is wrong by more than
     * `lease_drift_ppm` millionths, at most 100,000, not while its machine sleeps, is suspended or moved either; and
     * that all processes are down for one lease before they are started with a shorter one, or with none. What is
     * written hangs on no clock. */
    uint32_t lease_ms;
    uint32_t lease_drift_ppm;
} ombak_options;

/* A member of a group, in this process. */
typedef struct ombak_group ombak_group;

/*
 * Starts a member. `options`, `machine` and all that they point to may be gone when this returns, but for the context:
 * after OMBAK_OK it is the library's until ombak_stop(); after anything else it is yours as before, and `free` was not
 * called. The context must be as it is before the first command. When this returns there may be no leader yet.
 *
 * `*group` gets the group. `why` gets a text of at most `why_bytes` bytes with its 0, cut if it is longer: what went
 * wrong and what to do, or nothing. It may be NULL.
 */
ombak_code ombak_start(const ombak_options *options, const ombak_machine *machine, ombak_group **group, char *why,
                       size_t why_bytes);

/*
 * Stops a member, waits until its threads have ended, calls the machine's `free`, and frees the group. Not from a
 * callback. OMBAK_ENDED: it had ended by itself, and `why` says why, as for ombak_start(). NULL is none, and OMBAK_OK.
 */
ombak_code ombak_stop(ombak_group *group, char *why, size_t why_bytes);

/* Bytes that the library has allocated. */
typedef struct ombak_buffer {
    uint8_t *bytes;
    size_t length;
} ombak_buffer;

/* Gives an answer's memory back. The buffer is empty then, and can be freed again. */
void ombak_buffer_free(ombak_buffer *buffer);

/*
 * Proposes a command, and waits until it is decided and applied. Any member takes it. `*answer` gets what `apply` wrote
 * on this or another member; it is yours. `answer` may be NULL.
 */
ombak_code ombak_propose(const ombak_group *group, const void *command, size_t length, uint32_t within_ms,
                         ombak_buffer *answer);

/*
 * Asks the state. The answer has everything that anybody was told of before this was called, in any process. `*answer`
 * gets what `read` wrote; it is yours.
 */
ombak_code ombak_read(const ombak_group *group, const void *query, size_t length, uint32_t within_ms,
                      ombak_buffer *answer);

/*
 * Asks the state of this member, once it has applied everything up to `slot`: one that `apply` was called with, and that
 * it has answered with, for instance. Asks nothing of the leader, and may miss what others were told of since. If it
 * has not come so far, OMBAK_LATE when the time is over, or OMBAK_BEHIND after some seconds.
 */
ombak_code ombak_read_at(const ombak_group *group, uint64_t slot, const void *query, size_t length, uint32_t within_ms,
                         ombak_buffer *answer);

/*
 * Hands the lead to a member that votes: before a process is stopped, so that nobody has to notice that. After OMBAK_OK
 * it leads. OMBAK_UNKNOWN: it may lead by now or not, which the status says.
 */
ombak_code ombak_lead(const ombak_group *group, uint32_t member, uint32_t within_ms);

/*
 * Makes these the members that vote, and nobody else a member. After OMBAK_OK as many of them as decide have the whole
 * log, and who is no longer one may be shut down. All must be among the members in the options of all processes. How
 * many decide: a majority, unless ombak_change_to() said otherwise.
 */
ombak_code ombak_change(const ombak_group *group, const uint32_t *voters, size_t voters_length, uint32_t within_ms);

/* Who is to belong to a group. Set all of it to zero first. What has a length of 0 may be NULL. */
typedef struct ombak_membership {
    /* They vote: 1 to OMBAK_VOTERS_MAX. */
    const uint32_t *voters;
    size_t voters_length;
    /* They are told everything, and do not vote: at most 1,024. */
    const uint32_t *learners;
    size_t learners_length;
    /* Those among the voters that keep the log and no state: see OMBAK_WITNESS. Who is one is one in any case. They are
     * fewer than decide. */
    const uint32_t *witnesses;
    size_t witnesses_length;
    /* So many voters decide, and as many as that takes elect a leader: with 2 of 5 a leader needs one other for each
     * command, and its successor four to be elected. A command that 2 have decided survives one lost disk. 0: as it is
     * now, so that a majority stays one. */
    uint32_t accept;
} ombak_membership;

/* As ombak_change(), with members that do not vote or keep no state, and with how many voters decide. */
ombak_code ombak_change_to(const ombak_group *group, const ombak_membership *to, uint32_t within_ms);

/* How a member is doing, as far as it knows: only what is proposed or read is certain. */
typedef struct ombak_status {
    /* Everything up to this place in the log is applied here. */
    uint64_t slot;
    /* Who says this. */
    uint32_t id;
    /* Who leads, or OMBAK_NOBODY. */
    uint32_t leader;
    /* Whether what is on the disk was read. Before that it takes no part. */
    uint32_t is_ready;
    /* Not 0: it takes no part any more. */
    uint32_t has_failed;
    /* Who votes. While that changes, who voted before. */
    uint32_t voters_length;
    uint32_t voters[OMBAK_VOTERS_MAX];
    /* Those of them, and of who is about to vote, that keep the log and no state. */
    uint32_t witnesses_length;
    uint32_t witnesses[OMBAK_VOTERS_MAX];
    /* How many are told everything, and do not vote. */
    uint32_t learners_length;
    /* Not 0: who votes is changing. */
    uint32_t is_changing;
    /* Not 0: this member votes, with the disk that it has. On another one than before it does not, until it was taken in
     * again. */
    uint32_t votes;
} ombak_status;

/* How this member is doing, now. */
ombak_code ombak_status_of(const ombak_group *group, ombak_status *status);

/*
 * Waits until this member's status is another than `*status` in more than the slot, and writes it there. What changed
 * and changed back is not told. OMBAK_LATE: it is as it was. Begin with a status that is all zeros.
 */
ombak_code ombak_watch(const ombak_group *group, ombak_status *status, uint32_t within_ms);

#ifdef __cplusplus
}
#endif

#endif
