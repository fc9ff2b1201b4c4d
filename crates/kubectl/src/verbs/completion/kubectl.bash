# Completion of kubectl for bash: source <(kubectl completion bash)
# The words are kubectl's own (kubectl __complete); this only shows them.

__kubectl_complete() {
    local line=${COMP_LINE:0:COMP_POINT} out directive typed shown word about i
    local -a words found=()
    COMPREPLY=()
    # bash takes words apart at = and : too; kubectl wants them as they are typed.
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    typed=${words[-1]}
    # A name of several words, such as `knarr kubectl`, is called as it was typed.
    local -a name=("${words[0]}")
    [[ ${words[0]##*/} == knarr && ${words[1]-} == kubectl ]] && name+=(kubectl)
    [[ ${words[0]##*/} == knarr && ${words[1]-} != kubectl ]] && return
    out=$("${name[@]}" __complete "${words[@]:${#name[@]}}" 2>/dev/null) || return
    directive=${out##*:}
    out=${out%:*}
    # What stands before the part that bash replaces.
    local cut=${COMP_WORDS[COMP_CWORD]} before
    case $cut in = | :) cut= ;; esac
    before=${typed%"$cut"}
    while IFS=$'\t' read -r word about; do
        [[ -n $word ]] || continue
        found+=("$word"$'\t'"$about")
    done <<<"$out"
    for i in "${found[@]}"; do
        word=${i%%$'\t'*}
        about=${i#*$'\t'}
        shown=${word#"$before"}
        # Descriptions are for reading: they stand there only while there is a choice.
        if ((${#found[@]} > 1)) && [[ -n $about && ${COMP_TYPE-} == 63 ]]; then
            shown+="  ($about)"
        fi
        COMPREPLY+=("$shown")
    done
    ((directive & 2)) && compopt -o nospace 2>/dev/null
    if ((directive & 4)); then
        compopt +o default 2>/dev/null
    elif ((${#found[@]} == 0)); then
        compopt -o default 2>/dev/null
    fi
    return 0
}

complete -F __kubectl_complete kubectl knarr
