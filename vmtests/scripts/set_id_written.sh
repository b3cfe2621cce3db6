# A root may write into a set-id file of the base, which keeps its bits.
echo more >> /old/setuid-data
