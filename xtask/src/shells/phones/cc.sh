#!/bin/sh
# Stands in for the C compiler of a phone where there is none: reads the C through this machine's preprocessor, so that a
# file or a header of ours that is missing is seen, and writes an object with nothing in it.
left=$#
output=
compiles=
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    left=$((left - 1))
    case $argument in
        -c) compiles=yes ;;
        # Options with a value of their own.
        -o | -I | -D | -U | -include | -isystem | -iquote | -arch | -target | -isysroot)
            value=$1
            shift
            left=$((left - 1))
            case $argument in
                -o) output=$value ;;
                -arch | -target | -isysroot) ;;
                *) set -- "$@" "$argument" "$value" ;;
            esac
            ;;
        -E | -I* | -D* | -U* | -std=*) set -- "$@" "$argument" ;;
        # What is left is about the phone's processor and system, which this machine's compiler does not know.
        -*) ;;
        *) set -- "$@" "$argument" ;;
    esac
done
if [ -z "$compiles" ]; then
    exec cc "$@"
fi
cc -E "$@" >/dev/null && : >"$output"
