/* SPDX-License-Identifier: ISC */
/*
 * Who is it?  mcrelay-web only.
 *
 * To compare a password takes long on purpose, so who guesses could keep
 * everybody else waiting, or a processor busy.  Therefore:
 *
 *  - Only one is compared at a time, in a thread (web/hasher.h), while its
 *    connection is suspended; few wait for that, and after a wrong one nobody
 *    is compared for four times as long: guesses have a fifth of a processor.
 *  - Who was right once, from an address, is not compared again from there: a
 *    keyed hash of address, name and password is remembered.
 *  - Each address has some guesses, and more as time goes by; and so has each
 *    user from each address.  Who has none left is told to come again later,
 *    whatever the password, since else it could be guessed by what is
 *    remembered, which takes no time.  So a user is locked out by who guesses
 *    from the same address, but not by who does so from another one, nor by
 *    guesses at other users.
 *  - A user that does not exist is compared with the hash of one that does.
 */
#ifndef MCRELAY_AUTH_H
#define MCRELAY_AUTH_H

#include <ev.h>
#include <microhttpd.h>
#include <stdint.h>

#include "common/compiler.h"

struct answer;

enum auth_verdict {
	AUTH_GOOD,
	AUTH_WAIT,	/* the connection has been suspended */
	AUTH_UNKNOWN,
	AUTH_BUSY,	/* too many guesses: later */
};

/* A connection's name and password that wait to be compared. */
struct auth;

/* Before the sandbox; `resumed' is called when connections have been. */
void	auth_init(struct ev_loop *loop, void (*resumed)(void)) ATTR_NONNULL;
/* In the sandbox. */
void	auth_start(void);
/* May this request be answered?  `mine', at first NULL, is the connection's;
 * after AUTH_WAIT it is asked again when the connection was resumed. */
enum auth_verdict	auth_check(struct MHD_Connection *connection,
			    struct auth **mine) ATTR_NONNULL;
/* For who is neither good nor to wait; the caller's. */
struct answer	*auth_refusal(enum auth_verdict verdict) ATTR_NONNULL;
/* The connection ends. */
void	auth_forget(struct auth **mine) ATTR_NONNULL;
/* Resumes those that have waited for too long by `now'; with UINT64_MAX all,
 * as libmicrohttpd is about to end. */
void	auth_overdue(uint64_t now);

#endif /* MCRELAY_AUTH_H */
