# SPDX-License-Identifier: ISC
# Completes the commands of mcrelay by what they print with --help, which comes
# from their tables; so there is nothing here to be forgotten.  Channels are
# asked of the daemon.  The other programs' names are links to this file.

# What stands before a meaning, a tab, and the meaning; a line each.
function __mcrelay_lines --argument-names program
    $program --help 2>/dev/null | awk '
        /^  [^ ]/ {
            if (head != "")
                print head "\t" meaning
            head = substr($0, 3)
            meaning = ""
            if ((at = index(head, "  ")) > 0) {
                meaning = substr(head, at)
                sub(/^ +/, "", meaning)
                head = substr(head, 1, at - 1)
            }
            next
        }
        /^   +[^ ]/ && head != "" && meaning == "" {
            meaning = $0
            sub(/^ +/, "", meaning)
        }
        END {
            if (head != "")
                print head "\t" meaning
        }'
end

# The options among the words of a line, each with its meaning.
function __mcrelay_options --argument-names words meaning
    for word in (string split -n ' ' -- $words)
        set word (string replace -r '^\[' '' -- $word |
            string replace -r '[],=[].*' '')
        string match -q -- '-*' $word; and printf '%s\t%s\n' $word $meaning
    end
end

function __mcrelay
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program $words[1]
    set -l before $words[-1]
    set -l lines (__mcrelay_lines $program)
    set -l command ''
    set -l socket
    set -l i 2

    # The command, past options and their arguments.
    while test $i -le (count $words); and test -z "$command"
        set -l given $words[$i]
        for line in $lines
            set -l head (string split \t -- $line)[1]
            test "$head" = "$given"
            or string match -q -- "$given *" $head
            or continue
            if not string match -q -- '-*' $given
                set command $head
            else if string match -q -- '* *' $head
                set i (math $i + 1)
                test $given = -s; and set socket -s $words[$i]
            end
            break
        end
        set i (math $i + 1)
    end
    # Elsewhere all options belong to all commands.
    if string match -q -- '-*' $word
        string match -q '*mcrelayctl' $program; or set command ''
    end
    if test "$before" = -i
        ls /sys/class/net
    else if test -n "$command"; and string match -q -- '-*' $word
        __mcrelay_options (string replace -r '^\S+ ?' '' -- $command) ''
    else if test -n "$command"
        string match -q '*channel*' $command
        and $program $socket metrics 2>/dev/null | string replace -rf \
            '^mcrelay_channel_state{channel="([^"]*)",state="running"} .*' '$1'
    else if string match -q -- '-*' $word
        for line in (string match -- '-*' $lines)
            __mcrelay_options (string split \t -- $line)
        end
    else if not string match -q -- '-*' $before
        for line in (string match -v -- '-*' $lines)
            string replace -r '^(\S+)[^\t]*' '$1' -- $line
        end
    end
end

for name in mcrelayd mcrelayctl mcrelay-cat mcrelay-gen mcrelay-replay \
    mcrelay-verify
    complete -c $name -a '(__mcrelay)'
    # An interface is no file.
    complete -c $name -n 'test (commandline -opc)[-1] = -i' -f
end
# Nothing that it takes is a file.
complete -c mcrelayctl -f
