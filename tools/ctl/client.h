/* SPDX-License-Identifier: ISC */
/*
 * One question to mcrelayd, one answer.  mcrelayctl only.
 */
#ifndef MCRELAY_CTL_CLIENT_H
#define MCRELAY_CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/compiler.h"

/*
 * Sends `request' to the daemon behind `path' and returns its answer, which
 * is the caller's.  Ends the program with a message when there is none.
 */
json_t	*client_ask(const char *path, const json_t *request) ATTR_NONNULL;
/* The same as text, of *size bytes, whatever that is; the caller's. */
char	*client_ask_text(const char *path, const json_t *request, size_t *size)
	    ATTR_NONNULL;
/* That as JSON; ends the program with a message when it is none. */
json_t	*client_parse(const char *text, size_t size) ATTR_NONNULL;
/*
 * The same for a request whose answer is a line that others follow: the
 * connection stays, in *fd.  What has come behind the answer is in `rest',
 * *size bytes of `room'.
 */
json_t	*client_follow(const char *path, const json_t *request, int *fd,
	    char *rest, size_t *size, size_t room) ATTR_NONNULL;
/* From now on an answer may take so long in all, in seconds, in place of more
 * than the daemon gives any command. */
void	 client_patience(unsigned seconds);
/* Prints what the daemon has to say beside its answer, and why if that is no:
 * then 1, else 0. */
int	 client_check(const json_t *answer) ATTR_NONNULL;

/* Called in place of the end with a message when mcrelayd cannot be asked;
 * `down': it does not serve.  Does not return. */
typedef void	client_failed(bool down, const char *text);
void	client_on_failure(client_failed *failed) ATTR_NONNULL;

#endif /* MCRELAY_CTL_CLIENT_H */
