/* SPDX-License-Identifier: ISC */
/*
 * The decimator's event loop: channels come and go as the supervisor says
 * over MESSAGE_FD; each has a reader (reader.h) that gets its turn when its
 * ring has something new.
 */
#ifndef MCRELAY_DECIMATOR_DECIMATOR_H
#define MCRELAY_DECIMATOR_DECIMATOR_H

/*
 * Runs until SIGTERM or until the supervisor hangs up; is killed when it dies.
 * Returns the exit status.  Fatal when MESSAGE_FD is not the supervisor's
 * socket.
 */
int	decimator_run(void);

#endif /* MCRELAY_DECIMATOR_DECIMATOR_H */
