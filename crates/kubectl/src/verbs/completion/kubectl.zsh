#compdef kubectl
# Completion of kubectl for zsh: source <(kubectl completion zsh), or as a file _kubectl on fpath.
# The words are kubectl's own (kubectl __complete); this only shows them.

_kubectl() {
    local out directive line word about
    local -a found options
    out=$("${(Q)words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null) || return 1
    directive=${out##*:}
    out=${out%:*}
    for line in "${(@f)out}"; do
        [[ -n $line ]] || continue
        word=${line%%$'\t'*}
        # _describe reads a colon as the end of the word.
        word=${word//:/\\:}
        if [[ $line == *$'\t'* ]]; then
            found+=("$word:${line#*$'\t'}")
        else
            found+=("$word")
        fi
    done
    (( directive & 2 )) && options+=(-S '')
    if (( ${#found} )); then
        _describe 'kubectl' found "${options[@]}"
    elif (( ! (directive & 4) )); then
        _files
    fi
}

if [[ ${funcstack[1]-} == _kubectl ]]; then
    _kubectl
else
    compdef _kubectl kubectl
fi
