/* SPDX-License-Identifier: ISC */
/*
 * A segment's numbers as JSON, by names that never change: what a supervisor
 * learns of a segment that has the layout of another version (HACKING.md,
 * "Upgrades across layouts").  Supervisor only.
 */
#ifndef MCRELAY_ACCOUNT_H
#define MCRELAY_ACCOUNT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "common/segment.h"
#include "supervisor/privdrop.h"

/* Where `mcrelayd --account' has the segment. */
#define ACCOUNT_FD	3

/* The exit status of a program that cannot make anything of the segment. */
#define ACCOUNT_EXIT_DAMAGED	65

/* Told between versions: these numbers never change. */
enum account_answer {
	ACCOUNT_GIVEN		= 0,
	ACCOUNT_DAMAGED		= 1,	/* the segment is */
	ACCOUNT_LATE		= 2,	/* it may hang every time */
	ACCOUNT_NONSENSE	= 3,	/* or no answer at all */
};

struct image;

/* Of a segment of our layout, whose worker may be alive.  NULL: it changes too
 * fast to be read. */
json_t	*account_of(const struct segment *segment) ATTR_NONNULL;
/* `mcrelayd --account': prints that of the segment at ACCOUNT_FD; where a
 * socket is there, account_serve().  Returns the exit status. */
int	account_print(void);
/* Has `print' do that in a process of its own for each segment that the socket
 * at ACCOUNT_FD brings, until its end.  Returns the exit status. */
int	account_serve(int (*print)(void)) ATTR_NONNULL;

/*
 * Has the daemon's program of `image' print, as `user', that of the segment
 * `fd'; *account is NULL unless it is given.  Waits for two seconds at most,
 * once for some more.  A process that serves stays until image_end_server().
 */
enum account_answer	account_ask(struct image *image,
			    const struct privdrop *user, int fd,
			    json_t **account) ATTR_NONNULL;
const char	*account_answer_text(enum account_answer answer);

/* Whether it has the form of one, and its numbers fit each other. */
bool	account_makes_sense(const json_t *account) ATTR_NONNULL;

/*
 * Has `fresh', which no worker has seen yet, go on with the worker's numbers.
 * When these are final, what the old ring held still is counted where it was
 * lost; returns how much of it the archive had yet to store.  `was' tells for
 * each input which of the account's has had its socket, -1: none; NULL: as they
 * stand there.  May be repeated.
 */
uint64_t	account_apply(const struct segment *fresh,
		    const json_t *account, const int was[INPUTS_MAX],
		    bool final) __attribute__((__nonnull__(1, 2)));
/* The same of the decimator's page, which no decimator has seen. */
void	account_apply_page(const struct segment *fresh, const json_t *account)
	    ATTR_NONNULL;
/* Whether there is anything that a worker has taken from its socket and neither
 * sent nor stored. */
bool	account_left(const json_t *account) ATTR_NONNULL;
/* Whether its last worker has said that there is nothing. */
bool	account_drained(const json_t *account) ATTR_NONNULL;
/* Whether its version has the messages of ours. */
bool	account_speaks(const json_t *account);
/* How many outputs it has, and whether there is an archive. */
size_t	account_outputs(const json_t *account, bool *archive) ATTR_NONNULL;
size_t	account_inputs(const json_t *account) ATTR_NONNULL;
/* As in struct channel. */
uint32_t	account_paused(const json_t *account) ATTR_NONNULL;
/* The slots of that page. */
void	account_slots(const json_t *account,
	    char slot[static STREAMS_MAX][CHANNEL_NAME_MAX + 1],
	    uint64_t slot_id[static STREAMS_MAX]) ATTR_NONNULL;

#endif /* MCRELAY_ACCOUNT_H */
