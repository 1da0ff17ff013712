-- Every film that arrives goes to the node; what the node made itself stays where it is.
function OnStoredInstance(instanceId, tags, metadata)
  if tags['Manufacturer'] ~= 'cxr-inference' then
    SendToModality(instanceId, 'cxr')
  end
end
